"""Wanted: which scene of all that arrived, and what is known of it whatever arrived."""

from dataclasses import dataclass

from onboard.codec.profile import Profile
from onboard.image.tiles import DEFAULT_MAX_PIXELS


@dataclass(frozen=True)
class Wanted:
    """What is wanted of segments that arrived.

    Attributes:
        scene_id: scene; None takes that of the first intact segment.
        run: encoding of that scene; None takes that of the first intact segment of it. Others are
            left out.
        width: columns of the scene, needed only where no scene header arrived.
        bands: bands of the scene, where no scene header arrived; None takes as many as the bundle
            has classes of.
        tile: rows and columns of its tiles, where no scene header arrived; None takes those that
            the encoder gives so many bands.
        profile: spectral profile of the scene; None takes the known one that its header names.
        max_pixels: most pixels (width x height) that the scene may have.
    """

    scene_id: int | None = None
    run: int | None = None
    width: int | None = None
    bands: int | None = None
    tile: int | None = None
    profile: Profile | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS


FIRST = Wanted()
"""The first scene that arrived, as its header tells it."""

"""Trial of profiles: bytes at equal quality beside plain groups of bands, on held-back images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log, prod
from pathlib import Path

import numpy as np

from ground import metrics
from ground.decode.decoder import Decoder
from ground.decode.wanted import Wanted
from ground.scene import Scene
from ground.train.profile.moments import Moments
from onboard.bundle import load
from onboard.codec.profile import Profile
from onboard.encoder import Encoder, Options
from onboard.errors import InputError, LimitError
from onboard.image.files import Image

BITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Bits a sample that both are tried at."""
_CHOICE = 0.4
"""Bits a sample at which one of several profiles is chosen."""
MOST_SIDE = 128
"""Rows and columns of an image that are coded."""
MOST_IMAGES = 3

_HELD_BACK = 5
"""One image of so many."""
_LEAST_HELD_BACK = 1_024
"""Pixels with data that a profile is tried on."""

Point = tuple[int, float]
"""Bytes, and PSNR in dB with a peak of 65535."""


@dataclass(frozen=True)
class Row:
    """All images at one rate.

    Attributes:
        bits: bits a sample of plain groups.
        psnr16: PSNR of these, dB, with a peak of 65535.
        groups: bytes of plain groups.
        profile: bytes with the profile at the same PSNR.
    """

    bits: float
    psnr16: float
    groups: float
    profile: float

    @property
    def change(self) -> float:
        """How many percent more bytes the profile takes; negative is fewer."""
        return 100 * (self.profile / self.groups - 1)


@dataclass(frozen=True)
class Trial:
    """What was found.

    Attributes:
        kind: of the profile chosen.
        profile: the profile.
        rows: by rate.
    """

    kind: str
    profile: Profile
    rows: list[Row]

    @property
    def change(self) -> float:
        """Percent of bytes by which the profile differs on the whole; negative is fewer."""
        shares = [row.profile / row.groups for row in self.rows]
        return 100 * (prod(shares) ** (1 / len(shares)) - 1)

    @property
    def better(self) -> bool:
        """Whether the profile needs fewer bytes."""
        return self.change < 0


def learn(
    scenes: Sequence[Scene],
    bundle: Path,
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> Trial:
    """Make profiles of some scenes, all of the same bands, and try them on the others.

    One scene of five is held back, of a single one its last third of lines.

    Args:
        scenes: earlier images of a sensor.
        bundle: path of the bundle that codes them.
        report: called with the encodes done and their number.

    Raises:
        InputError: there are too few pixels with data.
    """
    held_back = list(scenes[1::_HELD_BACK])
    training = [scene for number, scene in enumerate(scenes) if number % _HELD_BACK != 1]
    if len(scenes) == 1:
        lines = scenes[0].image.shape[1]
        cut = lines - lines // 3
        training = [replace(scenes[0], image=scenes[0].image[:, :cut])]
        held_back = [replace(scenes[0], image=scenes[0].image[:, cut:])]
    pixels = sum(int(scene.valid.sum()) for scene in held_back)
    if pixels < _LEAST_HELD_BACK:
        raise InputError(
            f"profile: expected at least {_LEAST_HELD_BACK} pixels with data to hold back (one "
            f"image of {_HELD_BACK}, or a third of one), found {pixels}: give more images"
        )
    return try_profiles(held_back, Moments.of(training).profiles(), bundle, report)


def try_profiles(
    scenes: Sequence[Scene],
    profiles: Mapping[str, Profile],
    bundle: Path,
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> Trial:
    """Choose the best profile for scenes that none was made of, and compare it with plain groups.

    Args:
        scenes: scenes; the middle of a few is coded.
        profiles: by kind.
        bundle: path of the bundle.
        report: called with the encodes done and their number.

    Raises:
        InputError: no scene is large enough to be coded at two rates.
    """
    some = [_middle(scene) for scene in scenes[:: -(-len(scenes) // MOST_IMAGES)]]
    total = len(some) * (len(profiles) + 2 * len(BITS))
    done = 0

    def code(profile: Profile | None, scene: Scene, bits: float) -> Point | None:
        nonlocal done
        done += 1
        report(done, total)
        return _code(bundle, profile, scene, bits)

    quality = {
        kind: sum(point[1] for scene in some if (point := code(profile, scene, _CHOICE)))
        for kind, profile in profiles.items()
    }
    kind = max(quality, key=lambda key: quality[key])
    found: dict[float, list[Row]] = {}
    for scene in some:
        plain, ours = (
            {bits: point for bits in BITS if (point := code(profile, scene, bits))}
            for profile in (None, profiles[kind])
        )
        for bits, row in _rows(plain, ours).items():
            found.setdefault(bits, []).append(row)
    if not found:
        raise InputError("profile: expected held-back images large enough to code, found none")
    return Trial(kind, profiles[kind], [_together(found[bits]) for bits in sorted(found)])


def _middle(scene: Scene) -> Scene:
    rows, cols = (
        slice(max(n - MOST_SIDE, 0) // 2, max(n - MOST_SIDE, 0) // 2 + MOST_SIDE)
        for n in scene.image.shape[1:]
    )
    image: Image = scene.image[:, rows, cols].copy()
    return replace(scene, image=image, transform=None)


def _code(bundle: Path, profile: Profile | None, scene: Scene, bits: float) -> Point | None:
    """Return bytes and PSNR at a rate; None where the scene is too small for it."""
    options = Options(budget=int(scene.image.size * bits / 8))
    encoder = Encoder(load(str(bundle)), profile=profile)
    try:
        stream = b"".join(encoder.encode(scene.image, scene.header(), options))
    except LimitError:
        return None
    decoded = Decoder(bundle, linear=True).decode(stream, Wanted(profile=profile)).scene.image
    return len(stream), metrics.psnr(scene.image, decoded, metrics.PEAK_16_BIT, scene.valid)


def _rows(plain: Mapping[float, Point], ours: Mapping[float, Point]) -> dict[float, Row]:
    """Return what a profile takes for each quality of plain groups that it reaches."""
    points = sorted(ours.values(), key=lambda point: point[1])
    quality = [psnr for _, psnr in points]
    lengths = [log(length) for length, _ in points]
    return {
        bits: Row(bits, psnr, length, exp(float(np.interp(psnr, quality, lengths))))
        for bits, (length, psnr) in plain.items()
        if points and quality[0] <= psnr <= quality[-1]
    }


def _together(rows: Sequence[Row]) -> Row:
    """Return the rows of several images at one rate as one."""
    psnr = float(np.mean([row.psnr16 for row in rows]))
    sums = (sum(row.groups for row in rows), sum(row.profile for row in rows))
    return Row(rows[0].bits, psnr, *sums)

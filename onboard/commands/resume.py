"""Resume: what a recording that is gone on with fixes, whatever is asked for now."""

import argparse
from dataclasses import replace

from onboard.bundle import Bundle
from onboard.codec.profile import Profile
from onboard.commands.beginning import Beginning
from onboard.downlink.recorder import Recorded
from onboard.encoder import Options
from onboard.errors import UsageError
from onboard.link.header import SceneHeader


def as_begun(
    header: SceneHeader, arguments: argparse.Namespace, bundle: Bundle, profile: Profile | None
) -> tuple[SceneHeader, bool | None]:
    """Return the header with its tiles, and whether to go along a trellis, None if that is open.

    A recording that is gone on with keeps its own, which another engine may have chosen.

    Args:
        header: header of the scene.
        arguments: arguments of the command line.
        bundle: bundle.
        profile: spectral profile that the scene is coded with.

    Raises:
        InputError: the bundle takes no such scene.
        UsageError: `--tile` says something else.
    """
    begun = Beginning.read(arguments.output) if arguments.resume else Beginning()
    told, along_trellis = begun.header, arguments.trellis
    if along_trellis is None and arguments.max_error is None:
        along_trellis = begun.along_trellis
    # A mosaic leaves no choice of tiles, and another scene's header says nothing of this one.
    if told is None or header.bayer or told.bands != header.bands:
        return header, along_trellis
    usual = bundle.for_scene(header.bands, header.significant_bits, profile).tile
    kept = usual if told.tile is None else told.tile
    if header.tile not in (None, kept):
        raise UsageError(f"--tile: expected that of the output, {kept}, found {header.tile}")
    return replace(header, tile=kept), along_trellis


def recorded_so_far(
    arguments: argparse.Namespace, options: Options, columns: int
) -> tuple[Recorded, Options]:
    """Return what is there to go on with, if that is asked for, and the options with its run.

    Args:
        arguments: arguments of the command line.
        options: options of the encoder.
        columns: number of tiles in a row.

    Raises:
        StreamError: the output is damaged elsewhere than in its last packet.
        UsageError: it has an end, or is of another run.
    """
    if not arguments.resume:
        return Recorded(), options
    recorded = Recorded.read(arguments.output, columns)
    if recorded.ended:
        raise UsageError(f"{arguments.output}: already ends, there is nothing to go on with")
    if None not in (options.run, recorded.run) and options.run != recorded.run:
        raise UsageError(f"--run: expected that of the output, {recorded.run}")
    return recorded, options if recorded.run is None else replace(options, run=recorded.run)

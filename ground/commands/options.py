"""Options that commands which look into recordings share, and what they mean."""

import argparse
from pathlib import Path

from ground.api.source import Choice, known_tags
from ground.decode.wanted import Wanted
from ground.station.model import find_bundle
from ground.station.recording import Pass
from onboard import bundle as bundles
from onboard.commands.options import given_profile
from onboard.errors import UsageError
from onboard.image.tiles import DEFAULT_MAX_PIXELS
from onboard.link.binding import MAX_RUN, NO_RUN, Encoding, bind


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command shares that looks into scenes of recordings."""
    parser.add_argument(
        "input",
        type=Path,
        nargs="+",
        help="recordings (.sky or .pkt): all that was received of the pass, in any order",
    )
    parser.add_argument("--apid", type=int, help="leave out packets of other APIDs")
    parser.add_argument(
        "--run",
        dest="encoding_run",
        metavar="N",
        type=int,
        help="this encoding alone, where a scene has several",
    )
    parser.add_argument("--bundle", help="name or path; default: the known one the stream names")
    parser.add_argument(
        "--profile",
        type=Path,
        help="spectral profile (.prof) of the scene, or its folder of slots; default: the one that "
        "the scene header names, in a folder of SKYBOOK_BUNDLES",
    )
    add_headless_options(parser)
    parser.add_argument("--max-pixels", type=int, default=DEFAULT_MAX_PIXELS)


def add_headless_options(parser: argparse.ArgumentParser) -> None:
    """Add what is to be taken of a scene whose header did not arrive."""
    parser.add_argument("--width", type=int, help="columns, needed only without a scene header")
    parser.add_argument(
        "--bands", type=int, help="bands, without a scene header (default: the bundle's classes)"
    )
    parser.add_argument(
        "--tile",
        type=int,
        help="rows and columns of tiles, without a scene header (default: found by "
        "the rows and columns that the tiles that arrived say they have)",
    )


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command shares that reads pictures window by window."""
    parser.add_argument("--bundle", help="name or path; default: the known one the stream names")
    parser.add_argument(
        "--profile", type=Path, help="spectral profile (.prof); default: the known one it names"
    )
    parser.add_argument(
        "--linear", action="store_true", help="leave the image as the bundle alone gives it"
    )
    parser.add_argument("--threads", type=int, default=2, help="tiles decoded at once (2)")
    parser.add_argument("--max-pixels", type=int, default=DEFAULT_MAX_PIXELS)


def given_choice(arguments: argparse.Namespace, **more: int | None) -> Choice:
    """Return what the options choose of a picture, and more that a command has options of."""
    return Choice(
        bundle=arguments.bundle,
        linear=arguments.linear,
        max_pixels=arguments.max_pixels,
        profile=arguments.profile,
        threads=arguments.threads,
        **more,
    )


def given_wanted(arguments: argparse.Namespace) -> Wanted:
    """Return what the options want of the segments of one encoding.

    Raises:
        BundleError: the spectral profile cannot be read, or is damaged.
    """
    return Wanted(
        width=arguments.width,
        bands=arguments.bands,
        tile=arguments.tile,
        profile=given_profile(arguments),
        max_pixels=arguments.max_pixels,
    )


def given_models(arguments: argparse.Namespace) -> set[bytes]:
    """Return the tag of the bundle that the options name, or else of all known bundles."""
    return known_tags(arguments.bundle or None)


def given_bindings(arguments: argparse.Namespace) -> set[bytes]:
    """Return the bindings of the models at hand without a run, and with the one that is wanted."""
    tags = given_models(arguments)
    if arguments.encoding_run is None:
        return tags
    if not NO_RUN <= arguments.encoding_run <= MAX_RUN:
        raise UsageError(f"--run: expected 1..{MAX_RUN}, found {arguments.encoding_run}")
    return tags | {bind(tag, arguments.encoding_run) for tag in tags}


def bundle_path(arguments: argparse.Namespace, received: Pass, encoding: Encoding) -> Path:
    """Return the bundle that the options name, or else the encoding."""
    if arguments.bundle:
        return bundles.find(arguments.bundle)
    return find_bundle(received.of(encoding))

"""Engine: what codes the tiles, and whether it chooses indices along a trellis."""

import argparse

from onboard.engine.engines import ENGINES


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add `--engine`, `--threads`, `--trellis` and `--plain`."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        help="default: c where it is built (`export engine`), else the first that is installed",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine (default 1)")
    indices = parser.add_mutually_exclusive_group()
    indices.add_argument(
        "--trellis",
        action="store_true",
        default=None,
        help="choose indices along a trellis: fewer bytes, more time. The default where engine c "
        "codes up to 16 bands by --ratio or --bytes; what `stream --resume` goes on with stays so",
    )
    indices.add_argument(
        "--plain",
        dest="trellis",
        action="store_false",
        default=None,
        help="choose each index by itself: the default elsewhere. Say one of the two for the same "
        "bytes on whatever engine; without, the default and so the bytes depend on it",
    )

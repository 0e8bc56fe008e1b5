"""Command `engine`: the C encoder of a bundle, compiled for Python on this machine."""

import argparse

from export.csource.library import build_library
from onboard import bundle as bundles
from onboard.commands.commandline import Commands, add_json_option, print_result


def add_engine_command(commands: Commands) -> None:
    """Add `engine`."""
    engine = commands.add_parser(
        "engine",
        help="compile the C encoder of a bundle for Python: engine `c`",
        epilog="example: python -m export engine skybook. `onboard` and `ground` take it from then "
        "on, unless --engine says another; the bytes stay the same. Needs a C compiler: cc, or "
        "what CC names (CFLAGS are heeded); for this machine alone. It goes into the package, or "
        "where SKYBOOK_ENGINES says",
    )
    engine.add_argument("bundle", help="name or path of a model bundle of the lapped codec")
    engine.set_defaults(run=_engine)
    add_json_option(engine)


def _engine(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    path = build_library(bundle)
    size = path.stat().st_size
    result = {"bundle": bundle.name, "library": str(path), "bytes": size}
    print_result(result, f"{path}: engine c of {bundle.name}, {size} bytes", arguments.json)
    return 0

"""Command `bounded`: a bundle with what codes tiles within a bound on their error."""

import argparse
from pathlib import Path

from onboard import bundle as bundles
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import InputError, UsageError
from onboard.outputs import open_whole, refuse_overwriting


def add_bounded_command(commands: Commands) -> None:
    """Add `bounded`."""
    bounded = commands.add_parser(
        "bounded",
        help="put the part `bounded` into a bundle, for --max-error",
        epilog="example: python -m export bounded skybook runs/skybook-bounded/bounded.part "
        "-o mine.skyb. Its streams name another model, so its decoder goes beside it",
    )
    bounded.add_argument("bundle", help="name or path of a model bundle")
    bounded.add_argument("part", type=Path, help="part that `ground train skybook-bounded` wrote")
    bounded.add_argument("-o", "--output", type=Path, required=True, help="NAME.skyb")
    bounded.set_defaults(run=_bounded)
    add_json_option(bounded)


def _bounded(arguments: argparse.Namespace) -> int:
    try:
        from export.lapped.bounded import renamed, with_bounded  # noqa: PLC0415 (needs onnx)
        from ground.decode.decoder import find_decoder  # noqa: PLC0415 (needs scipy)
    except ModuleNotFoundError as error:
        raise UsageError(f"export needs onnx: pip install 'skybook[export]' ({error})") from error
    path = bundles.find(arguments.bundle)
    decoder = arguments.output.with_suffix(".onnx")
    outputs = {"-o": arguments.output, "-o, the decoder": decoder, "--json": arguments.json}
    refuse_overwriting(outputs, [arguments.part])
    bundle = bundles.load(arguments.bundle)
    try:
        packed = arguments.part.read_bytes()
    except OSError as error:
        raise InputError(f"{arguments.part}: cannot be read: {error.strerror}") from error
    made = with_bounded(bundle, packed)
    contents = {
        arguments.output: made.pack(),
        decoder: renamed(find_decoder(bundle, path).read_bytes(), made),
    }
    for name, content in contents.items():
        with open_whole(name) as file:
            file.write(content)
    files = {str(name): len(content) for name, content in contents.items()}
    result = {"name": made.name, "model_hash": made.model_hash.hex(), "files": files}
    text = "\n".join(f"{name}: {length} bytes" for name, length in files.items())
    print_result(result, f"{text}\nmodel {made.model_hash.hex()[:8]}", arguments.json)
    return 0

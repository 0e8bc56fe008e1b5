"""Command `decoder`: the decoder graph of a bundle with weights that were trained further."""

import argparse
from pathlib import Path

from onboard import bundle as bundles
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import InputError, UsageError
from onboard.outputs import open_whole, refuse_overwriting


def add_decoder_command(commands: Commands) -> None:
    """Add `decoder`."""
    decoder = commands.add_parser(
        "decoder",
        help="write the decoder graph of a bundle with weights that were trained further",
        epilog="example: python -m export decoder skybook runs/skybook-refinement/checkpoint.pt "
        "-o mine.onnx. It belongs beside the bundle's file, under its name; streams stay what they "
        "are",
    )
    decoder.add_argument("bundle", help="name or path of the bundle whose streams it decodes")
    decoder.add_argument("checkpoint", type=Path, help="that `ground train` wrote of a refinement")
    decoder.add_argument("-o", "--output", type=Path, required=True, help="NAME.onnx")
    decoder.set_defaults(run=_decoder)
    add_json_option(decoder)


def _decoder(arguments: argparse.Namespace) -> int:
    try:
        from export.lapped.graph import refinement_onnx  # noqa: PLC0415 (torch is loaded only here)
        from ground.train.refinement.checkpoint import load_training  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"export needs torch: pip install 'skybook[export]' ({error})") from error
    outputs = {"-o": arguments.output, "--json": arguments.json}
    refuse_overwriting(outputs, [arguments.checkpoint])
    bundle = bundles.load(arguments.bundle)
    recipe, training = load_training(arguments.checkpoint)
    if training.step < recipe.steps:
        raise InputError(
            f"{arguments.checkpoint}: expected a finished training, found step {training.step} of "
            f"{recipe.steps}; go on with `ground train`"
        )
    if training.network.bands != bundle.bands:
        raise InputError(
            f"{arguments.checkpoint}: expected a network of {bundle.bands} bands, found "
            f"{training.network.bands}"
        )
    graph = refinement_onnx(training.network, bundle.model_hash.hex())
    with open_whole(arguments.output) as file:
        file.write(graph)
    result = {"name": bundle.name, "output": str(arguments.output), "bytes": len(graph)}
    text = f"{arguments.output}: decoder of {bundle.name}, {len(graph)} bytes"
    print_result(result, text, arguments.json)
    return 0

"""The decoder of an older checkout, in a worker of its own."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.resources.crun import encode_once
from benchmarks.resources.worker import Tasks, pin

_OURS = ("onboard", "ground")
_DECODERS = ("ground.decode.decoder", "ground.decoder")
"""Where `Decoder` is, and was."""


def open_older(
    checkout: str, names: list[str], program: str, image: str, ratio: float, cpu: int
) -> tuple[dict[str, Any], Tasks]:
    """Get ready to decode an image with an older checkout.

    Args:
        checkout: folder that has `onboard` and `ground`.
        names: names that the bundle has had; the first that is there is taken.
        program: C encoder of that checkout.
        image: path of an .npy file (bands, rows, cols) uint16.
        ratio: raw bytes over bytes.
        cpu: CPU to stay on.

    Returns:
        Hello, which is empty, and the task `decode`.
    """
    stream = encode_once(program, image, ratio)
    pin(cpu)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    sys.path.insert(0, checkout)
    decoder = _decoder(names)

    def decode() -> None:
        decoder.decode(stream)

    return {}, {"decode": decode}


def _decoder(names: list[str]) -> Any:
    """Return the checkout's decoder of the first bundle that it has."""
    folder = Path(import_module("onboard").__path__[0]) / "bundles"
    path = next(path for name in names if (path := folder / f"{name}.skyb").exists())
    for module in _DECODERS:
        try:
            return import_module(module).Decoder(path)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(f"expected {' or '.join(_DECODERS)}, found neither")

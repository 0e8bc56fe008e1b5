"""LearnedModel: what is kept of a trained network, in one file, and the codec that it makes.

A file is NumPy's npz. It has the weights of the parts that floating point is left to, as float16;
the prior in whole numbers; and, as JSON, name, layout, sensor and origin.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.learned.codec import LearnedCodec
from benchmarks.codecs.learned.layout import Layout
from benchmarks.codecs.learned.whole import WholePrior, kept
from benchmarks.codecs.modulated.layout import Sensor
from benchmarks.codecs.modulated.model import file_of_model
from ground import extra
from onboard.errors import BundleError

MIXTURE = "mixture"
WEIGHTS = Path(__file__).with_name(f"{MIXTURE}.npz")
"""Those that skybook has."""
WHOLE = ("prior.groups.", "prior.hyper_synthesis.", "prior.hyper_spread", "prior.logits", "prior.s")
"""How the names of parameters begin that are kept in whole numbers."""
_NETWORK = "network."


@dataclass(frozen=True)
class LearnedModel:
    """A trained network.

    Attributes:
        name: of its recipe.
        layout: its widths.
        network: weights by the names of its parameters, those of the prior left out.
        prior: in whole numbers.
        sensor: that it was trained on.
        origin: what it was trained with, in words.
    """

    name: str
    layout: Layout
    network: Mapping[str, NDArray[np.float16]]
    prior: WholePrior
    sensor: Sensor
    origin: str

    def codec(self) -> LearnedCodec:
        """Return the codec.

        Raises:
            EngineError: torch is not installed.
        """
        extra.load("train", "torch")
        from benchmarks.codecs.learned.network import LearnedNetwork  # noqa: PLC0415 (torch)
        from benchmarks.codecs.modulated.transforms import Transforms  # noqa: PLC0415 (torch)

        network, multiple = LearnedNetwork(self.layout), self.layout.multiple
        transforms = Transforms.of(network, multiple, self.network, WHOLE)
        return LearnedCodec(self.name, self.layout, transforms, self.prior, self.sensor)

    def pack(self) -> bytes:
        """Return the file."""
        arrays: dict[str, NDArray[Any]] = {_NETWORK + k: v for k, v in self.network.items()}
        told = {
            "name": self.name,
            "layout": asdict(self.layout),
            "sensor": asdict(self.sensor),
            "origin": self.origin,
        }
        arrays |= self.prior.arrays()
        arrays["model"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def unpack(cls, packed: bytes) -> "LearnedModel":
        """Read a file that `pack` made.

        Raises:
            BundleError: it is none.
        """
        try:
            with np.load(io.BytesIO(packed), allow_pickle=False) as file:
                arrays = dict(file)
            told = json.loads(arrays["model"].tobytes())
            layout = Layout.of(told["layout"])
            return cls(
                str(told["name"]),
                layout,
                {k.removeprefix(_NETWORK): v for k, v in arrays.items() if k.startswith(_NETWORK)},
                kept(layout, arrays),
                Sensor(**told["sensor"]),
                str(told["origin"]),
            )
        except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise BundleError(f"learned codec: expected its weights: {error}") from error


def load(path: Path = WEIGHTS) -> LearnedModel:
    """Read a model.

    Raises:
        UsageError: there is no such file.
        BundleError: it is none.
    """
    return LearnedModel.unpack(file_of_model(path))

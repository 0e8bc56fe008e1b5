"""Model: what is kept of a trained network, in one file, and the codecs that it makes.

A file is NumPy's npz. It has the weights of the parts that floating point is left to, as float16;
the hyper synthesis in whole numbers; the tables; and, as JSON, the sensors with their regressions.
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

from benchmarks.codecs.modulated.codec import ModulatedCodec
from benchmarks.codecs.modulated.convolution import Layer
from benchmarks.codecs.modulated.layout import HYPER_STRIDE, Layout, Sensor
from benchmarks.codecs.modulated.quality import Regression
from benchmarks.codecs.modulated.scales import HyperSynthesis
from benchmarks.codecs.modulated.tables import Tables
from onboard.errors import BundleError, UsageError

WEIGHTS = Path(__file__).with_name("weights.npz")
"""Those that skybook has."""
_HYPER, _NETWORK = "hyper_synthesis.", "network."
_TABLES = ("hyper", "latent")


@dataclass(frozen=True)
class Model:
    """A trained network.

    Attributes:
        layout: its widths.
        network: weights by the names of its parameters, the hyper synthesis left out.
        hyper_synthesis: in whole numbers.
        hyper_tables: of the side information.
        latent_tables: of the latents.
        sensors: those it was trained on, with their regressions.
        origin: what it was trained with, in words.
    """

    layout: Layout
    network: Mapping[str, NDArray[np.float16]]
    hyper_synthesis: HyperSynthesis
    hyper_tables: Tables
    latent_tables: Tables
    sensors: Mapping[str, tuple[Sensor, Regression | None]]
    origin: str

    def codec(self, sensor: str) -> ModulatedCodec:
        """Return the codec for a sensor.

        Raises:
            UsageError: it was not trained on that.
        """
        from benchmarks.codecs.modulated.network import ModulatedHyperprior  # noqa: PLC0415 (torch)
        from benchmarks.codecs.modulated.transforms import Transforms  # noqa: PLC0415 (torch)

        if sensor not in self.sensors:
            raise UsageError(f"sensor: expected one of {', '.join(self.sensors)}, found {sensor!r}")
        return ModulatedCodec(
            Transforms.of(ModulatedHyperprior(self.layout), HYPER_STRIDE, self.network, (_HYPER,)),
            self.hyper_synthesis,
            self.hyper_tables,
            self.latent_tables,
            *self.sensors[sensor],
        )

    def pack(self) -> bytes:
        """Return the file."""
        arrays: dict[str, NDArray[Any]] = {_NETWORK + k: v for k, v in self.network.items()}
        for number, layer in enumerate(self.hyper_synthesis.layers):
            arrays |= layer.arrays(f"{_HYPER}{number}")
        for name, tables in zip(_TABLES, (self.hyper_tables, self.latent_tables), strict=True):
            arrays[f"{name}.frequencies"], arrays[f"{name}.shifts"] = (
                tables.frequencies,
                tables.shifts,
            )
        told = {
            "layout": asdict(self.layout),
            "sensors": [[asdict(s), r and asdict(r)] for s, r in self.sensors.values()],
            "origin": self.origin,
        }
        arrays["model"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def unpack(cls, packed: bytes) -> "Model":
        """Read a file that `pack` made.

        Raises:
            BundleError: it is none.
        """
        try:
            with np.load(io.BytesIO(packed), allow_pickle=False) as file:
                arrays = dict(file)
            told = json.loads(arrays["model"].tobytes())
            sensors = [(Sensor(**s), Regression(**r) if r else None) for s, r in told["sensors"]]
            count = len([name for name in arrays if name.startswith(_HYPER)]) // 2
            layers = [Layer.kept(arrays, f"{_HYPER}{n}") for n in range(count)]
            hyper, latent = (
                Tables(arrays[f"{name}.frequencies"], arrays[f"{name}.shifts"]) for name in _TABLES
            )
            return cls(
                Layout(**told["layout"]),
                {k.removeprefix(_NETWORK): v for k, v in arrays.items() if k.startswith(_NETWORK)},
                HyperSynthesis(layers),
                hyper,
                latent,
                {sensor.name: (sensor, regression) for sensor, regression in sensors},
                str(told["origin"]),
            )
        except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise BundleError(f"modulated hyperprior: expected its weights: {error}") from error


def load(path: Path = WEIGHTS) -> Model:
    """Read a model.

    Raises:
        UsageError: there is no such file.
        BundleError: it is none.
    """
    return Model.unpack(file_of_model(path))


def file_of_model(path: Path) -> bytes:
    """Return the bytes of a trained model.

    Raises:
        UsageError: there is no such file.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: expected a trained model: {error.strerror}") from error

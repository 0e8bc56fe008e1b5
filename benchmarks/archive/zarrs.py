"""Zarr through our codec: its time over encoder and decoder alone, its bytes beside JPEG 2000."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from benchmarks.archive.direct import CHUNK, Direct, places
from benchmarks.scenes import benchmark_scenes, mirrored
from ground import metrics
from ground.chunks.quality import Quality
from ground.scenes.spyndex import spyndex_scene
from onboard.errors import EngineError

SIDE, QUICK_SIDE = 2_048, 1_024
RATIO = 20.48
_BANDS = 4
_SEARCHED = 14
_FINEST, _COARSEST = 1e-6, 0.1
"""Steps of HTJ2K, relative to the range of samples."""
_OVER = [(name, over) for over in ("direct", "memory") for name in ("write", "read")]


def measure_zarr(
    side: int, runs: int, data: Path | None, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Write and read an array, and compare its codec's bytes with those of others.

    Args:
        side: rows and columns of the array whose time is measured.
        runs: times that each is done, in turn; medians of ratios count.
        data: folder of scenes besides that of the spyndex package; None for that alone.
        folder: for the arrays.
        say: called with what is done.

    Returns:
        `write_over_direct`, `read_over_direct`: processor time of zarr with our codec over that of
        encoder and decoder called chunk by chunk in as many threads, from and to files;
        `write_over_memory`, `read_over_memory`: over that of the same in one thread, chunks and
        streams in memory; `bytes_over_jpeg2000`,
        `bytes_over_htj2k`: bytes of chunks at equal PSNR, along a trellis, geometric means;
        `..._plain` without.
    """
    found: dict[str, Any] = {"side": side, **_times(side, runs, folder, say)}
    scenes = {}
    for item in benchmark_scenes(data, _BANDS):
        say(f"zarr: bytes of {item.name}")
        scenes[item.name] = _bytes(item.scene.image.astype(np.uint16), folder)
    for rival in _RIVALS:
        for kind in ("", "_plain"):
            key = f"bytes_over_{rival}{kind}"
            found[key] = geometric_mean(scene[key] for scene in scenes.values())
    return {**found, "scenes": scenes}


def _times(
    side: int, runs: int, folder: Path, say: Callable[[str], None]
) -> dict[str, float | list[float]]:
    """Return how long zarr takes over encoder and decoder alone."""
    image = mirrored(spyndex_scene().image.astype(np.uint16), side)
    store, serializer = folder / "times.zarr", _serializer(ratio=RATIO)
    direct = Direct(folder, Quality(ratio=RATIO))
    chunks = [np.ascontiguousarray(image[:, *place]) for place in places(image)]
    streams = [direct.encode(chunk) for chunk in chunks]
    taken: dict[str, Callable[[], Any]] = {
        "write": lambda: _write(store, image, serializer),
        "write_direct": lambda: direct.write(image),
        "write_memory": lambda: [direct.encode(chunk) for chunk in chunks],
        "read": lambda: _read(store),
        "read_direct": lambda: direct.read(image),
        "read_memory": lambda: [direct.decode(stream) for stream in streams],
    }
    ratios: dict[str, list[float]] = {}
    for number in range(runs + 1):
        say(f"zarr: times, {number} of {runs}")
        seconds = {name: _taken(what) for name, what in taken.items()}
        if not number:
            continue  # what is opened once is there then
        for name, over in _OVER:
            found = seconds[name] / seconds[f"{name}_{over}"]
            ratios.setdefault(f"{name}_over_{over}", []).append(found)
    return {name: median(found) for name, found in ratios.items()} | {
        f"{name}_runs": found for name, found in ratios.items()
    }


def _serializer(**configuration: Any) -> dict[str, Any]:
    return {"name": "skybook", "configuration": configuration}


def _taken(what: Callable[[], Any]) -> float:
    """Return the seconds of the processor, of all threads, that something takes."""
    begun = time.process_time()
    what()
    return time.process_time() - begun


def _write(path: Path, image: NDArray[np.uint16], serializer: Mapping[str, Any]) -> Any:
    """Write an array."""
    bands, rows, cols = image.shape
    return zarr.create_array(
        path,
        data=image,
        chunks=(bands, min(rows, CHUNK), min(cols, CHUNK)),
        serializer=dict(serializer),
        compressors=None,
        overwrite=True,
    )


def _read(path: Path) -> NDArray[np.uint16]:
    return np.asarray(zarr.open_array(path, mode="r")[:])


def _bytes(image: NDArray[np.uint16], folder: Path) -> dict[str, float]:
    """Return the bytes of a scene as one chunk, of ours over those of rivals at our PSNR."""
    found: dict[str, float] = {}
    chunk = image[:, :CHUNK, :CHUNK]
    for kind, more in (("", {"trellis": True}), ("_plain", {})):
        path = folder / "bytes.zarr"
        array = _write(path, chunk, _serializer(ratio=RATIO, **more))
        ours = int(array.nbytes_stored()) - (path / "zarr.json").stat().st_size
        psnr = metrics.psnr(chunk, _read(path), metrics.PEAK_16_BIT)
        found |= {f"bytes{kind}": ours, f"psnr16{kind}": psnr}
        for name, rival in _RIVALS.items():
            found[f"bytes_over_{name}{kind}"] = ours / _at_psnr(chunk, psnr, rival, folder)
    return found


def _at_psnr(
    chunk: NDArray[np.uint16], psnr: float, rival: Callable[[float], Any], folder: Path
) -> float:
    """Return the bytes that a rival takes for a PSNR, between the two nearest that it has."""
    low, high = 0.0, 1.0
    points: list[tuple[float, float]] = []
    for share in (low, high, *([None] * _SEARCHED)):
        at = (low + high) / 2 if share is None else share
        size, reached = _rival(chunk, rival(at), folder)
        points.append((reached, size))
        low, high = (at, high) if reached < psnr else (low, at)
    below, above = (
        max((p for p in points if p[0] <= psnr), default=None),
        min((p for p in points if p[0] >= psnr), default=None),
    )
    if below is None or above is None:
        raise EngineError(f"rival: expected one of {psnr:.2f} dB, found {points[0]}, {points[1]}")
    if above[0] == below[0]:
        return below[1]
    part = (psnr - below[0]) / (above[0] - below[0])
    return float(below[1] ** (1 - part) * above[1] ** part)


def _rival(chunk: NDArray[np.uint16], compressor: Any, folder: Path) -> tuple[int, float]:
    """Write a chunk by another codec, in Zarr v2; return its bytes and PSNR16."""
    path = folder / "rival.zarr"
    zarr.create_array(
        path,
        data=chunk,
        chunks=chunk.shape,
        compressors=compressor,
        filters=None,
        zarr_format=2,
        overwrite=True,
    )
    size = sum(file.stat().st_size for file in _chunks(path))
    return size, metrics.psnr(chunk, _read(path), metrics.PEAK_16_BIT)


def _chunks(path: Path) -> Iterator[Path]:
    """Yield the files of the chunks of an array of Zarr v2."""
    return (file for file in path.iterdir() if not file.name.startswith("."))


def _jpeg2000(share: float) -> Any:
    """Return OpenJPEG's codec for a quality, which is a PSNR, between 30 and 110 dB."""
    return _codec("Jpeg2k", level=30 + 80 * share, mct=False, codecformat="J2K")


def _htj2k(share: float) -> Any:
    """Return OpenJPH's codec for a quantisation step, coarse to fine."""
    return _codec("Htj2k", level=_COARSEST * (_FINEST / _COARSEST) ** share, rgb=False)


def _codec(name: str, **configuration: Any) -> Any:
    """Return a codec of imagecodecs of the 9/7 wavelet, each band by itself, known to numcodecs.

    Raises:
        EngineError: imagecodecs is not installed.
    """
    try:
        from imagecodecs import numcodecs  # noqa: PLC0415 (an optional package)
    except ImportError as error:
        raise EngineError("zarr: expected imagecodecs, pip install 'skybook[bench]'") from error
    numcodecs.register_codecs(verbose=False)
    return getattr(numcodecs, name)(planar=True, reversible=False, **configuration)


_RIVALS: dict[str, Callable[[float], Any]] = {"jpeg2000": _jpeg2000, "htj2k": _htj2k}
"""By name: function that returns the codec for a share of its quality."""

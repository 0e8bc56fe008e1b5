"""Runtime: the onboard chain with one engine in a worker of its own; nothing of the ground is here.

Modules are imported in the functions because start-up is measured.
"""

# ruff: noqa: PLC0415
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, islice, product
from typing import Any

from benchmarks.resources.worker import Tasks, pin

PACKAGES = {
    "ort": "onnxruntime",
    "litert": "ai-edge-litert",
    "tflite": "tflite-runtime",
    "numpy": "numpy",
    "c": "skybook",
}


def open_runtime(
    name: str, engine: str, image: str, ratio: float, tiles: int, cpu: int
) -> tuple[dict[str, Any], Tasks]:
    """Load a bundle in an engine.

    Args:
        name: name or path of the bundle.
        engine: engine to run it with.
        image: path of an .npy file (bands, rows, cols) uint16.
        ratio: raw bytes over bytes, for bundles of variable rate.
        tiles: number of tiles to time alone.
        cpu: CPU to stay on.

    Returns:
        Hello: versions and seconds of importing, loading the bundle and opening the engine, or the
        `reason` why it does not run. Tasks `encode`, `tiles`, `stages`.
    """
    pin(cpu)
    begun = time.perf_counter()
    from onboard.bundle import load
    from onboard.encoder import Encoder
    from onboard.errors import BundleError, EngineError

    imported = time.perf_counter()
    bundle = load(name)
    loaded = time.perf_counter()
    try:
        encoder = Encoder(bundle, engine)
    except (EngineError, BundleError) as error:
        return {"reason": str(error)}, {}
    seconds = {
        "import": imported - begun,
        "bundle": loaded - imported,
        "engine": time.perf_counter() - loaded,
    }
    hello = {
        "version": _version(engine),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "seconds": seconds,
    }
    chain = _Chain(encoder, image, ratio if bundle.variable_rate else None)
    return hello, {
        "encode": chain.encode,
        "trellis": chain.encode_along_trellis,
        "tiles": lambda: chain.tile_seconds(tiles),
        "stages": lambda: chain.stage_seconds(name, engine),
    }


def measure_idle() -> dict[str, float]:
    """Return `idle_rss_mb`, the peak of a process that did nothing but start, in MiB."""
    from onboard.commands.commandline import peak_rss_mb

    return {"idle_rss_mb": peak_rss_mb()}


def _version(engine: str) -> str | None:
    try:
        return f"{PACKAGES[engine]} {version(PACKAGES[engine])}"
    except PackageNotFoundError:
        return None


class _Chain:
    """An encoder and the image that it encodes, read when it is first asked for."""

    def __init__(self, encoder: Any, path: str, ratio: float | None) -> None:
        self._encoder, self._path, self._ratio = encoder, path, ratio
        self._image: Any = None
        self._stream = b""

    @property
    def image(self) -> Any:
        import numpy as np

        if self._image is None:
            self._image = np.load(self._path)
        return self._image

    def _options(self, image: Any, packets: Any = None, trellis: bool = False) -> Any:
        from onboard.encoder import Options

        budget = int(image.nbytes / self._ratio) if self._ratio else None
        return Options(budget=budget, packets=packets, trellis=trellis)

    def encode(self) -> int:
        """Encode the whole image: front end, rate search, coding and all; return the bytes."""
        options = self._options(self.image)
        self._stream = b"".join(self._encoder.encode(self.image, None, options))
        return len(self._stream)

    def encode_along_trellis(self) -> int:
        """Do the same along a trellis."""
        options = self._options(self.image, trellis=True)
        return sum(map(len, self._encoder.encode(self.image, None, options)))

    def tile_seconds(self, count: int) -> list[float]:
        """Code one tile after the other, alone, at the step that the whole image was coded at.

        From samples in memory to packed segments; the rate is searched for many tiles at once, so
        the search is no part of it.
        """
        import numpy as np

        from onboard.codec.tile import ALL_VALID, Chosen
        from onboard.link.binding import NO_RUN
        from onboard.link.framing import Framing
        from onboard.link.segment import DEFAULT_SEGMENT_BYTES

        bundle, coder = self._encoder.bundle, self._encoder.coder
        side = bundle.tile
        codes = np.array([self._step_code()])
        present = np.ones((1, side, side), np.bool_)
        framing = Framing(0, bundle.tag, NO_RUN, b"", DEFAULT_SEGMENT_BYTES, False, None)
        seconds = []
        for number, tile in enumerate(_cycle_tiles(self.image, side, count + 1)):
            begun = time.perf_counter()
            prepared = coder.prepare(tile[None], present, (side, side))
            allowed = np.maximum(codes, coder.finest(prepared))
            chosen = Chosen(prepared, allowed, [ALL_VALID], framing.room(None, False))
            for piece in coder.write(coder.plan(chosen, False))[0]:
                framing.tile(number, None, *piece)
            seconds.append(time.perf_counter() - begun)
        return seconds[1:]

    def _step_code(self) -> int:
        """Return the step code of the first tile of the whole image; 0 where there are none."""
        from onboard.link.resync import read_segments
        from onboard.link.segment import Kind, Segment

        if self._ratio is None:
            return 0
        if not self._stream:
            self.encode()
        for found in read_segments(self._stream):
            if isinstance(found, Segment) and found.kind == Kind.TILE and found.layer == 0:
                return found.body[1]
        raise AssertionError("a stream without tiles")

    def stage_seconds(self, name: str, engine: str) -> dict[str, float]:
        """Encode once into space packets; return the seconds of each stage."""
        from benchmarks.resources.stages import watched_stages
        from onboard.bundle import load
        from onboard.encoder import Encoder
        from onboard.link.packet import PacketOptions

        packets = PacketOptions()
        with watched_stages() as watch:
            encoder = Encoder(load(name), engine)
            list(encoder.encode(self.image[:, :256, :256]))  # tables made at first use
            watch.lap()
            for strip in encoder.strips(self.image, None, self._options(self.image, packets)):
                packets.pack(strip.segments, strip.line, 0)
            return watch.lap()


def _cycle_tiles(image: Any, side: int, count: int) -> Iterator[Any]:
    """Yield whole tiles (bands, side, side) of an image, over and over."""
    _, rows, cols = image.shape
    places = product(range(0, rows - side + 1, side), range(0, cols - side + 1, side))
    for row, col in islice(cycle(places), count):
        yield image[:, row : row + side, col : col + side]

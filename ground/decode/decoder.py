"""Decoder: what arrived of a scene to digital numbers and a truthful mask. Needs no torch."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.graphs.graph import NamedGraph, Unrefined, open_float_session
from ground.decode.kinds import rebuilder_of
from ground.decode.mask import is_whole, unplaced
from ground.decode.rebuilder import Network, Overviews, Product, Rebuilder
from ground.decode.reception import Reception
from ground.decode.rows import Give, Giving, Memory
from ground.decode.wanted import FIRST, Wanted
from ground.scene import Scene
from ground.station.salvage.damaged import read_salvaging
from onboard.bundle import Bundle, load
from onboard.errors import BundleError, UsageError
from onboard.image.bayer import CELL
from onboard.image.files import DTYPES
from onboard.link.binding import NO_RUN, bind, bindings_of, findable
from onboard.link.foreign import read_ours
from onboard.link.header import SceneHeader
from onboard.link.resync import Damage
from onboard.link.segment import Buffer, Segment

DECODERS = Path(__file__).parents[1] / "decoders"


@dataclass(frozen=True)
class Decoded:
    """A decoded scene.

    Attributes:
        scene: the image with all that the scene header of the stream says of it.
        mask: uint8 (rows, cols) of `Mask`.
        reception: segments that arrived, and what became of them.
        complete: whether a header and the end arrived, nothing was damaged, no pixel misses
            anything, and there was no other encoding of the scene.
        halo: pixels around a loss that the decoder network lets it reach; 0 without one.
        reached: of each tile in two parts that could be read whether its rest arrived whole.
        expected_error: mean squared error to expect where all arrived, DN^2; None where nothing
            tells it.
    """

    scene: Scene
    mask: NDArray[np.uint8]
    reception: Reception
    complete: bool
    halo: int
    reached: Mapping[int, bool]
    expected_error: float | None = None

    def expected_psnr(self, peak: float) -> float | None:
        """Return the PSNR to expect of a peak, dB, as `ground.decode.lapped.errorguess` guesses."""
        error = self.expected_error
        return None if error is None else float(10 * np.log10(peak**2 / error))


def find_decoder(bundle: Bundle, path: Path) -> Path:
    """Return the decoder graph of a bundle: beside the bundle's file, else in the package.

    Raises:
        BundleError: there is none.
    """
    candidates = [path.with_suffix(".onnx"), DECODERS / f"{bundle.name}.onnx"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise BundleError(
        f"decoder of {bundle.name}: expected one of {', '.join(map(str, candidates))}"
    )


def open_decoder(
    bundle: Bundle, path: Path, compiled: Callable[[bytes], NamedGraph | None] = lambda _model: None
) -> NamedGraph:
    """Open the decoder graph of a bundle.

    Args:
        bundle: bundle whose decoder is opened.
        path: path of the bundle's file.
        compiled: what runs it in compiled code, if anything does; else onnxruntime does.

    Raises:
        BundleError: there is none, it is damaged, or it is another model's.
    """
    found = find_decoder(bundle, path)
    model = found.read_bytes()
    session = compiled(model) or open_float_session(model, 1)
    wanted, named = bundle.model_hash.hex(), session.metadata.get("model_hash", "none")
    if named != wanted:
        raise BundleError(
            f"{found}: expected model {wanted[:8]}, found {named[:8]}; have that of {path.name} "
            f"beside it as {path.with_suffix('.onnx').name}, or decode with --linear"
        )
    return session


class Decoder:
    """A bundle and its decoder graph; decodes any number of streams.

    Graphs run single-threaded, several at once: pixels do not depend on the number of threads.
    """

    def __init__(
        self,
        bundle_path: Path,
        threads: int = 1,
        linear: bool = False,
        exact: bool = False,
        best: bool = False,
    ) -> None:
        """Open a bundle.

        Args:
            bundle_path: path of the bundle's file.
            threads: parts of a scene at once.
            linear: leave the image as the bundle alone gives it (SPEC.md, section 12), with no
                decoder graph.
            exact: make the exact image (SPEC.md, section 12), which is linear and the same on every
                machine.
            best: take the mean of the graph over the image mirrored and turned, eight times.

        Raises:
            UsageError: the graph does not refine an image of this bundle but makes it.
            BundleError: bundle or graph is damaged, missing, or another's.
        """
        if threads < 1:
            raise UsageError(f"threads: expected 1 or more, found {threads}")
        self.bundle: Bundle = load(str(bundle_path))
        self._exact = exact
        rebuilder = rebuilder_of(self.bundle, exact=exact)
        self._rebuilders = {(*self._form(self.bundle), False, False): rebuilder}
        if (linear or exact or best) and not rebuilder.refines:
            raise UsageError(
                f"{'best' if best else 'linear'} image: expected a bundle of coder rans; "
                f"{self.bundle.name} has none, only its decoder graph makes an image"
            )
        if linear or exact:
            self.network = Network(Unrefined(), 0, threads)
            return
        session = open_decoder(self.bundle, bundle_path, rebuilder.graph)
        halo = int(session.metadata.get("radius", self.bundle.tile))
        self.network = Network(session, halo, threads, best)

    def of(self, bundle: Bundle) -> "Decoder":
        """Return the decoder of the streams of another bundle, with the same network."""
        found = copy(self)
        found.bundle, found._rebuilders = bundle, {}
        return found

    @staticmethod
    def _form(bundle: Bundle) -> tuple[int, int, bytes, int]:
        """Return what tells rebuilders of a bundle's scenes apart."""
        profile = bundle.profile.digest if bundle.profile else b""
        return bundle.bands, bundle.codec.fraction, profile, bundle.tile

    def _network(self, bundle: Bundle, header: SceneHeader, bounded: bool) -> Network:
        """Return the network for scenes of a bundle: none where it does nothing.

        It was trained for others, or all tiles are within a bound.
        """
        if self._form(bundle)[:-1] == self._form(self.bundle)[:-1] and not (
            header.bayer or bounded
        ):
            return self.network
        return Network(Unrefined(), 0, self.network.threads)

    def _rebuilder(self, bundle: Bundle, header: SceneHeader, bounded: bool) -> Rebuilder[Any]:
        """Return what rebuilds scenes of a bundle."""
        form = *self._form(bundle), header.bayer is not None, bounded
        if form not in self._rebuilders:
            rebuilder = rebuilder_of(bundle, bounded, self._exact)
            self._rebuilders[form] = rebuilder.for_mosaic() if header.bayer else rebuilder
        return self._rebuilders[form]

    def overviews(self, bundle: Bundle, header: SceneHeader) -> Overviews | None:
        """Return what makes overviews of scenes from their coarse layers; None if nothing does.

        Args:
            bundle: bundle with the codec for such scenes.
            header: header of the scene.
        """
        return self._rebuilder(bundle, header, False).overviews()

    def decode(
        self,
        stream: Buffer,
        wanted: Wanted = FIRST,
        report: Callable[[int, int], None] = lambda _done, _of: None,
        salvage: bool = True,
    ) -> Decoded:
        """Decode one scene of a stream of segments, bare or in packets, as `decode_segments`.

        `salvage` says whether damaged segments are looked at, too.
        """
        tag, run = self.bundle.tag, wanted.run or NO_RUN
        known = bindings_of(stream) | {tag, bind(tag, run)}
        read = read_salvaging if salvage else read_ours
        segments = read(findable(stream), known)
        return self.decode_segments(segments, wanted, report)

    def decode_segments(
        self,
        segments: Iterable[Segment | Damage],
        wanted: Wanted = FIRST,
        report: Callable[[int, int], None] = lambda _done, _of: None,
        give: Give | None = None,
    ) -> Decoded:
        """Decode one scene from what arrived of it. To add what arrives late, decode all again.

        Args:
            segments: segments in any order, with gaps, repetitions and damage, and what was made
                out in that. Where none contradicts another, the result does not depend on their
                order.
            wanted: what is wanted of them.
            report: called with the tiles done and their number.
            give: takes the scene, then its rows as soon as they are final, in place of an image
                that is there at the end, see `ground.decode.rows`.

        Raises:
            StreamError: nothing can be used.
            InputError: the bundle takes no so many bands, or no such tiles.
            BundleError: the segments are another model's.
            LimitError: the scene has more pixels than are wanted.
        """
        reception = Reception.of(self.bundle, segments, wanted)
        grid = reception.grid()
        bundle = reception.bundle
        header = reception.header or SceneHeader("u16", 16, bundle.bands, grid.width, grid.height)
        dtype = DTYPES[header.sample_type]
        shape = bundle.bands, grid.height, grid.width
        memory = Memory.of(shape, dtype) if give else None
        image = np.zeros(shape, dtype) if memory is None else memory.image
        mask = np.zeros(shape[1:], np.uint8)
        product = Product(image, mask, header, grid)
        rebuilder = self._rebuilder(bundle, header, reception.is_bounded)
        network = self._network(bundle, header, reception.is_bounded)
        scene = Scene.of(image, header)
        giving = Giving(grid, memory, give, report) if give and memory else None
        if giving and rebuilder.in_order and not header.bayer and reception.placed:
            giving.begin(scene, mask)
            report = giving.told
        rebuilder.rebuild(reception, product, network, report)
        if not reception.placed:
            unplaced(mask)
        if header.bayer:
            scene, mask = scene.joined(), mask.repeat(CELL, axis=0).repeat(CELL, axis=1)
        if giving:
            giving.end(scene, mask)
        told = reception.end is not None and reception.header is not None
        clean = not (reception.counts["damaged"] or reception.counts["other run"])
        complete = told and is_whole(mask) and clean
        error = product.expected_error
        return Decoded(scene, mask, reception, complete, network.halo, product.reached, error)

"""Workload: what encoding a pixel takes, counted in the encoder of a lapped bundle.

Counts per sample (one band of a pixel), read off the whole-array code of `onboard`:

    stage                   element operations              look-ups
    front end               34 (mostly 64 bits)             -
    transform               11 (4 of them copy windows)     1
    guess of sizes          4                               1
    each scan               22 + 34 coded                   1 + 21 coded
    entropy coder           26 coded                        5 coded

A scan predicts, quantises and prices every latent of a tile at one step, symbols for the entropy
coder included; the rate control makes one per tile, and some more for tiles whose step it changes.
`coded` is the share of latents whose level is above the one that is skipped. Element operations are
of 32 bits; one of 64 bits counts as two. A look-up is a gather, scatter, division, count or table
read. Calls are those of numpy; Python's profiler counts as many, within a fifth.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.tables import BIT
from onboard.codec.tile import STEPS
from onboard.errors import BundleError

RATIO = 20.48
_TILES, _WINDOW = 24, 1_000_000
"""Tiles that are analysed at once; pixels whose segments are entropy coded at once."""
_ELEMENTS = (34 + 11 + 4, 26)
_ELEMENTS_OF_SCAN = (22, 34)
_LOOKUPS = (1 + 1, 5)
_LOOKUPS_OF_SCAN = (1, 21)
"""Per sample, and more per coded one."""
_CALLS_OF_BATCH, _CALLS_OF_TILE = 400, 150
"""Outside layers: analysis of a batch; cutting, framing and checking the segments of a tile."""
_CALLS_OF_LAYER, _CALLS_OF_SYMBOL = 85, 8
"""In a scan; in the entropy coder, for a symbol of all lanes."""
_LANE_BYTES = 800
"""Bytes of the segment that the others wait for, at some 1,000 bytes a segment."""
_GUESS_MACS = 668 * 256
"""Per tile: bins of the histogram times step codes."""
_SCANS = (1.0, 1.5)
"""Per tile of a large window: at least one; a half more where many steps change."""
_FOLDED = 0.25
"""Share of the products of a filter that is even or odd in rows and in columns."""
_PASS_BYTES = 12
"""Bytes of one element operation whose two inputs and output are in memory, 32 bits each."""


@dataclass(frozen=True)
class Span:
    """A range, both ends included."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """Geometric mean of the ends."""
        return float(np.sqrt(self.low * self.high))

    def times(self, factor: float) -> "Span":
        """Return both ends times a factor above 0."""
        return Span(self.low * factor, self.high * factor)


COUNTS = ("macs", "sparse_macs", "elements", "lookups", "calls", "bytes")
"""Attributes of a workload that are counts per pixel."""


@dataclass(frozen=True)
class Workload:
    """Work per pixel, all bands; of each the least and the most.

    Attributes:
        name: name of the bundle.
        macs: multiply-accumulates of matrix products: band transform, transform, contexts, guess.
        sparse_macs: multiply-accumulates with filters folded, since each is even or odd in rows and
            in columns, and without weights of 0; as the C encoder does.
        elements: whole-array operations on an element.
        lookups: gathers, scatters, divisions, table reads.
        calls: calls of the library, where whole arrays are worked on.
        bytes: bytes moved in and out of memory: least where only samples and latents are, these
            written and read once, most where every whole-array operation goes there.
        coded: share of latents that are coded at `RATIO`.
    """

    name: str
    macs: Span
    sparse_macs: Span
    elements: Span
    lookups: Span
    calls: Span
    bytes: Span
    coded: float


def workload_of(bundle: Bundle) -> Workload:
    """Count the work of a lapped bundle at compression ratio `RATIO`.

    Raises:
        BundleError: the bundle has another codec.
    """
    if not bundle.variable_rate:
        raise BundleError(f"bundle {bundle.name}: the work of a fixed-rate network is not counted")
    bands = bundle.bands
    codec = LappedCodec.of(bundle.codec)
    model = codec.model
    coded = _coded_share(codec)
    count = partial(_count, bands, coded)
    elements = count(_ELEMENTS, _ELEMENTS_OF_SCAN)
    dense = model.contexts.macs_per_position
    sparse = _weights_in_use(model)
    return Workload(
        name=bundle.name,
        macs=_macs(bundle, model, 1, dense),
        sparse_macs=_macs(bundle, model, _FOLDED, sparse),
        elements=elements,
        lookups=count(_LOOKUPS, _LOOKUPS_OF_SCAN),
        calls=_calls(bundle, model, coded),
        bytes=Span(bands * (2 + 2 * 4), elements.high * _PASS_BYTES),
        coded=coded,
    )


def _macs(bundle: Bundle, coder: LappedModel, share: float, of_position: int) -> Span:
    """Return multiply-accumulates, given the share of the transform's and those of contexts."""
    covariance = 0.5 * bundle.bands  # two gradients on a quarter of the pixels
    once = bundle.bands * (share * coder.transform.macs_per_sample + bundle.bands + covariance)
    once += _GUESS_MACS / bundle.tile**2
    return Span(*(once + scans * of_position / BLOCK**2 for scans in _SCANS))


def _weights_in_use(coder: LappedModel) -> int:
    """Return the weights of the context model that are not 0, of channels known in time."""
    weights = coder.weights
    in_use = int(np.count_nonzero(weights.slope)) + int(np.count_nonzero(weights.dc[0]))
    for first, stop in pairwise(weights.cuts):
        layer = slice(first - weights.classes, stop - weights.classes)
        in_use += sum(int(np.count_nonzero(w[:first, layer])) for w in (weights.same, weights.near))
    return in_use


def _count(bands: int, coded: float, once: tuple[float, float], scan: tuple[float, float]) -> Span:
    """Return operations per pixel from those per sample and per coded sample."""
    fixed, each = (all_ + of_coded * coded for all_, of_coded in (once, scan))
    return Span(*(bands * (fixed + scans * each) for scans in _SCANS))


def _calls(bundle: Bundle, coder: LappedModel, coded: float) -> Span:
    symbols = _LANE_BYTES * 8 * RATIO / 16 * coded
    tile = bundle.tile**2
    once = _CALLS_OF_BATCH / (_TILES * tile) + _CALLS_OF_TILE / tile
    once += _CALLS_OF_SYMBOL * symbols / _WINDOW
    scan = coder.contexts.layers * _CALLS_OF_LAYER / (_TILES * tile)
    return Span(*(once + scans * scan for scans in _SCANS))


def _coded_share(codec: LappedCodec) -> float:
    """Return the share of latents coded, of the golden tiles at the step that gives `RATIO`."""
    samples = np.stack([t.samples for t in codec.golden if t.samples.shape[0] == codec.bands])
    present = np.ones((len(samples), *samples.shape[2:]), np.bool_)
    coder = codec.open_planes()
    prepared = coder.prepare(samples, present, (codec.tile, codec.tile))
    most = 16 * samples.size / RATIO * BIT
    low, high = int(coder.finest(prepared).max()), STEPS - 1
    while low < high:
        middle = (low + high) // 2
        fits = _coded(coder, prepared, middle)[1] <= most
        low, high = (low, middle) if fits else (middle + 1, high)
    return _coded(coder, prepared, low)[0] / samples.size


def _coded(coder: LappedTileCoder, prepared: PreparedTiles, step: int) -> tuple[int, int]:
    """Return how many latents are coded at a step, and about their bits in 1/256."""
    coded, bits = 0, 0
    for layer in coder.scan(prepared, np.full(len(prepared.means), step)):
        found = layer.quantised
        bits += int(coder.model.tables.cost(found.rows, found.indices).sum(dtype=np.int64))
        coded += layer.pending.coded.size
    return coded, bits

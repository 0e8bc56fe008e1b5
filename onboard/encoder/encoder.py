"""Encoder: lines of an image to segments, window by window of tiles."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.bundle import Bundle
from onboard.codec.profile import Profile
from onboard.codec.tile import TileCoder
from onboard.codec.tiling import USUAL, Tiling
from onboard.encoder.batches import checked_parts, parts_of
from onboard.encoder.budget import within
from onboard.encoder.fixedquality import at_quality
from onboard.encoder.options import Options, completed, is_fixed
from onboard.encoder.outcome import Outcome
from onboard.encoder.planned import HELD
from onboard.encoder.progress import Progress
from onboard.encoder.regions import Coding
from onboard.encoder.run import frame, told_parts
from onboard.encoder.shares import Shares, end_of_scene
from onboard.encoder.windows import RateWindows
from onboard.errors import InputError, SkybookError, UsageError
from onboard.image.files import check_image
from onboard.image.lines import in_batches
from onboard.image.tiles import TileGrid
from onboard.link.framing import Framing, Strip
from onboard.link.header import SceneHeader

_GIVEN_BACK = 31 << 20
"""Bytes of a block that makes glibc keep what is freed, up to twice as much, for arrays to come.

Else it gives pages back to the system and takes them again all the time, a tenth of an encode.
"""


class Encoder:
    """A bundle and the engine that runs its encoder graph; encodes any number of scenes.

    With glibc the process keeps memory that it frees, up to 62 MiB, from the first encoder on.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: str | None = None,
        threads: int = 1,
        profile: Profile | None = None,
    ) -> None:
        """Open the encoder; with a spectral profile it encodes scenes of its bands alone."""
        bounded = bundle.bounded and bundle.bounded.in_engine(engine, threads)
        self.bundle, self.profile = replace(bundle, bounded=bounded), profile
        self.coder: TileCoder[Any, Any] = bundle.codec.open(engine, threads)
        self._engine = engine, threads
        self._of_scenes: dict[tuple[int, int, int], Encoder] = {}
        np.empty(_GIVEN_BACK, np.uint8)  # and is given back at once

    def for_scene(self, header: SceneHeader, tiling: Tiling = USUAL) -> "Encoder":
        """Return the encoder of scenes of such bands, bits and tiles, or of tiles good for them.

        Raises:
            InputError: the bundle takes no such bands or tiles, or the profile is for others.
        """
        bundle = self.bundle.to_encode(header, self.profile, tiling)
        if bundle is self.bundle:
            return self
        form = header.bands, header.significant_bits, bundle.tile
        if form not in self._of_scenes:
            self._of_scenes[form] = Encoder(bundle, *self._engine, self.profile)
        return self._of_scenes[form]

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.coder.engine

    def engine_of(self, options: Options) -> str:
        """Return the name of the engine that codes the tiles of a scene with such options."""
        bounded = self.bundle.bounded if options.max_error is not None else None
        return bounded.engine_of(options.max_error_first) if bounded else self.engine

    def state_bytes(self, width: int) -> int:
        """Return what a strip of `width` columns of scenes like this takes, packets left aside.

        That is the samples of one row of tiles, and per tile its symbols' sizes at two steps.
        """
        tile = self.bundle.tile
        samples, latents = (of * self.bundle.bands * tile * tile for of in (2, 4))
        return -(-width // tile) * (samples + 16) + latents + samples

    def encode(
        self, image: NDArray[Any], header: SceneHeader | None = None, options: Options | None = None
    ) -> Iterator[bytes]:
        """Yield the segments of a scene: header, tiles in row-major order, end.

        See `strips`.
        """
        for strip in self.strips(image, header, options):
            yield from strip.segments

    def strips(
        self,
        image: NDArray[Any],
        header: SceneHeader | None = None,
        options: Options | None = None,
        tell: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> Iterator[Strip]:
        """Yield the segments of a scene, row of tiles by row of tiles.

        Args:
            image: (bands, rows, cols) of a sample type; may be memory-mapped. Of a Bayer mosaic
                its planes (`onboard.image.bayer`), and a header that says so.
            header: what to say of the scene; size, bands and sample type are filled in here. A
                scene whose window is the strip is taken as a stream: its height is told at the end.
            options: see `Options`.
            tell: called with what became of the rate of some windows, before their strips.

        Raises:
            InputError: wrong dtype, bands or shape, or values beyond the significant bits.
            UsageError: a rate for a bundle of fixed rate, or segments too short for the header.
            LimitError: the coarsest encoding takes more than the budget.
        """
        options, header = options or Options(), header or SceneHeader.of(image)
        kind = check_image(image)
        if header.sample_type != kind:
            raise InputError(f"image: header says {header.sample_type}, found {kind}")
        bands, height, width = image.shape
        header = options.as_sent(replace(header, bands=bands, width=width, height=height))
        if (encoder := self.for_scene(header, options.tiling)) is not self:
            return encoder.strips(image, header, options, tell)
        step, columns = self.bundle.tile, TileGrid(width, height, self.bundle.tile).columns
        if options.window == "scene":
            step = step * max(HELD // columns, 1) if is_fixed(options, self.bundle) else height
            return self.stream(checked_parts(image, header, step), header, options, tell=tell)
        return self.stream(parts_of(image, step), header, options, tell=tell)

    def stream(
        self,
        windows: Iterable[NDArray[Any]],
        header: SceneHeader,
        options: Options,
        done: Progress | None = None,
        tell: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> Iterator[Strip]:
        """Return the segments of lines as they come, window by window.

        Args:
            windows: (bands, rows, width) each; all but the last whole rows of tiles of such a
                scene.
            header: header of the scene; height 0 if it is not known.
            options: see `Options`; a budget needs a height.
            done: what was encoded before, to go on from there.
            tell: as of `strips`.

        Raises:
            as `strips`; also UsageError: a budget for a scene of unknown height.
        """
        encoder = self.for_scene(header, options.tiling)
        return encoder._stream(windows, header, options, done, tell)

    def _stream(
        self,
        windows: Iterable[NDArray[Any]],
        header: SceneHeader,
        options: Options,
        done: Progress | None,
        tell: Callable[[Outcome], None],
    ) -> Iterator[Strip]:
        """Yield the segments; as `stream`, of scenes like this."""
        options = completed(options, self.bundle)
        if options.budget is not None and not header.height:
            raise UsageError("budget: expected a ratio or an error, since the height is not known")
        done = done or self.progress(header, options, 0, 0, 0)
        header = told_parts(self.told(header), options)  # which may leave usual tiles unsaid
        if done.rows and options.run is None:
            raise UsageError("run: expected that of the rows of tiles before")
        line = done.rows * self.bundle.tile
        framing: Framing | None = None
        groups = self.bundle.codec.groups
        together = 1 if options.window == "scene" else options.together(groups, self.bundle.tile)
        for batch in in_batches(iter(windows), together):
            size = len(batch)
            if framing is None:
                self._check(batch[0], header, line)
                first = batch[0][:, : self.bundle.tile]
                framing = frame(self.bundle.tag, header, options, first)
            ends = line + sum(lines.shape[1] for lines in batch) == header.height
            while batch:
                # The last window of a budget needs to know what all others left of it.
                alone = ends and options.budget is not None
                size = max(min(size, len(batch) - alone), 1)
                try:
                    strips, outcome, line, done = self._encode(
                        batch[:size], header, framing, options, line, done
                    )
                except SkybookError:
                    if size == 1:
                        raise
                    size = 1  # so that the rows before the one at fault are not lost
                    continue
                tell(outcome)
                del batch[:size]  # not to be held while the next ones are read
                yield from strips
        if framing is None:
            raise InputError("image: expected at least one line, found none")
        yield end_of_scene(framing, line, done.segments)

    def _encode(
        self,
        batch: list[NDArray[Any]],
        header: SceneHeader,
        framing: Framing,
        options: Options,
        line: int,
        done: Progress,
    ) -> tuple[list[Strip], Outcome, int, Progress]:
        """Return the segments of windows from `line` on, what came of the rate, how far it is."""
        tile = self.bundle.tile
        shares = self._shares(options, header, framing)
        stop = line
        budgets = []
        for lines in batch:
            self._check(lines, header, stop)
            first, stop = stop, stop + lines.shape[1]
            budgets.append(shares.of(first, stop))
        spare = done.spare
        if options.budget is not None and stop == header.height:
            own = min(shares.kept_back, spare)
            budgets[-1], spare = budgets[-1] + own, spare - own
        windows = self._coding(header, options, framing).windows(batch, line // tile)
        strips, outcome = self._code(windows, options, budgets, spare, done.segments)
        spare += sum(budgets) - framing.cost(strips)
        segments = done.segments + sum(len(strip.segments) for strip in strips)
        return strips, outcome, stop, Progress(-(-stop // tile), segments, spare)

    def _coding(self, header: SceneHeader, options: Options, framing: Framing) -> Coding:
        """Return what codes the tiles of a scene."""
        coder = self.coder.using(options.quantizer) if options.quantizer else self.coder
        coder = coder.for_mosaic() if header.bayer else coder
        grid = TileGrid(header.width, 1, self.bundle.tile, self.bundle.codec.groups)
        return Coding(coder, self.bundle.bounded, header, options, framing, grid)

    def progress(
        self, header: SceneHeader, options: Options, rows: int, segments: int, spent: int
    ) -> Progress:
        """Return how far a scene is encoded, to go on from there.

        Args:
            header: header of the scene.
            options: it was encoded with.
            rows: rows of tiles done.
            segments: written for them.
            spent: bytes that those took, packets included.
        """
        if (encoder := self.for_scene(header, options.tiling)) is not self:
            return encoder.progress(header, options, rows, segments, spent)
        options = completed(options, self.bundle)
        header = told_parts(self.told(header), options)
        shares = self._shares(options, header, frame(self.bundle.tag, header, options))
        share = shares.of(0, rows * self.bundle.tile) if rows else 0
        return Progress(rows, segments, max(0, share + shares.kept_back - spent))

    def _shares(self, options: Options, header: SceneHeader, framing: Framing) -> Shares:
        """Return what the lines of a scene may take."""
        return Shares(options, header, framing, self.bundle.tile, self.coder.least_body)

    def told(self, header: SceneHeader) -> SceneHeader:
        """Return a header that tells profile and tiles; InputError: the profile is for others."""
        usual = self.bundle.for_scene(header.bands, header.significant_bits, self.profile).tile
        header = replace(header, tile=None if self.bundle.tile == usual else self.bundle.tile)
        if self.profile is None:
            return header
        self.profile.check(header.bands, *header.sample_range)
        return replace(header, profile=self.profile.digest)

    def _check(self, lines: NDArray[Any], header: SceneHeader, line: int) -> None:
        """Refuse lines that do not fit the scene; there are `line` before."""
        if check_image(lines) != header.sample_type or len(lines) != header.bands:
            raise InputError(
                f"lines: expected {header.bands} bands of {header.sample_type}, found "
                f"{len(lines)} of {lines.dtype}"
            )
        if lines.shape[2] != header.width:
            raise InputError(f"lines: expected {header.width} columns, found {lines.shape[2]}")
        if line % self.bundle.tile:
            raise UsageError(f"lines: a window of {line} lines in all is followed by another")
        TileGrid(header.width, line + lines.shape[1], self.bundle.tile)

    def _code(
        self, windows: RateWindows, options: Options, budgets: list[int], spare: int, written: int
    ) -> tuple[list[Strip], Outcome]:
        """Return the segments of windows at the rate asked for, and what came of it."""
        if is_fixed(options, self.bundle):
            return windows.at_fixed_rate(written), Outcome()
        if options.quality is not None:
            return at_quality(windows, options, budgets, spare, written)
        return within(windows, budgets, spare, written, options.budget is not None)

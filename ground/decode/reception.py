"""Reception: what of one scene has arrived, whatever the order, the gaps and the damage."""

from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ground.decode.likelytile import likely_tile
from ground.decode.tile import TileReception
from ground.decode.wanted import Wanted
from ground.station.index.records import Indexed
from ground.station.salvage.madeout import Salvage, Salvages
from onboard.bundle import Bundle
from onboard.bundle.profiles import profile_of
from onboard.codec.bound import in_two_parts, is_within
from onboard.errors import BundleError, InputError, LimitError, StreamError, UsageError
from onboard.image.files import is_signed
from onboard.image.tiles import TileGrid
from onboard.link.binding import NO_RUN, Encoding, bind, run_of
from onboard.link.end import EndOfScene, told_run
from onboard.link.header import SceneHeader
from onboard.link.resync import Damage
from onboard.link.segment import Kind, Segment

Tile = TypeVar("Tile", bound=TileReception[Any])
_OF_A_PICTURE = (Kind.SCENE, Kind.TILE, Kind.MASK, Kind.END)


@dataclass
class Reception:
    """The segments of one encoding, collected; those of no other are ever used beside them.

    Attributes:
        bundle: bundle that the stream must name; with the codec for such scenes, once a header has
            arrived or a grid was asked for.
        wanted: what is wanted of all that arrives.
        scene_id, run: those wanted, or else of the first intact segment, None until it has arrived.
        header, end: scene header and end of the scene, None until they have arrived.
        counts: segments by what became of them: 'used', 'damaged', 'other scene', 'other run',
            'other model'.
        height_known: whether the height of `grid` was told, not guessed from the tiles that came.
        placed: whether it is known how large tiles are, and so where each one stands.
        problems: first few reasons why segments were not used.
        tiles: tile and mask segments by tile, in the order of their arrival.
        salvage: what was made out of damaged ones; whoever does not look there is told of none.
    """

    bundle: Bundle
    wanted: Wanted
    header: SceneHeader | None = None
    end: EndOfScene | None = None
    height_known: bool = True
    placed: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    tiles: MutableMapping[int, list[Segment]] = field(default_factory=dict)
    salvage: Salvages = field(default_factory=Salvages)
    scene_id: int | None = field(init=False)
    run: int | None = field(init=False)
    _told: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scene_id, self.run = self.wanted.scene_id, self.wanted.run

    @classmethod
    def of(
        cls, bundle: Bundle, segments: Iterable[Segment | Damage], wanted: Wanted
    ) -> "Reception":
        """Collect what is wanted of segments; raises as `add_all`."""
        reception = cls(bundle, wanted)
        reception.add_all(segments)
        return reception

    def add_all(self, segments: Iterable[Segment | Damage]) -> None:
        """Sort segments to their tiles.

        Raises:
            BundleError: every intact segment names another model.
            BundleError: its spectral profile is not at hand.
            StreamError: there is no intact segment at all.
        """
        if isinstance(segments, Indexed):
            self.tiles, segments = segments.tiles(), segments.heads()
        segments = list(segments)
        self._hear_runs(segment for segment in segments if isinstance(segment, Segment))
        for segment in segments:
            if isinstance(segment, Salvage):
                continue
            if isinstance(segment, Damage):
                self._refuse("damaged", f"byte {segment.offset}: {segment.reason}")
            else:
                self._add(segment)
        if not self.counts["used"]:
            if other := self.counts["other model"]:
                raise BundleError(
                    f"stream: {other} segments, none of model {self.bundle.tag.hex()} "
                    f"({self.bundle.name}): {self.problems[0]}"
                )
            if self.counts["other scene"]:
                raise StreamError(f"stream: no segment of scene {self.scene_id}, only of others")
            if self.counts["other run"]:
                raise StreamError(f"stream: no segment of run {self.run}, only of others")
            raise StreamError(f"stream: no intact segment; {'; '.join(self.problems) or 'empty'}")
        ours = self.scene_id, bind(self.bundle.tag, self.run or NO_RUN)
        for found in segments:
            if isinstance(found, Salvage) and Encoding.of(found.segment) == ours:
                self.salvage.made_out.setdefault(found.segment.tile, []).append(found)

    def _hear_runs(self, segments: Iterable[Segment]) -> None:
        """Take note of the runs that headers and ends tell, the first of each binding.

        By them a model is found out whose bindings begin like those of the bundle.
        """
        for segment in segments:
            if segment.binding not in self._told and (run := told_run(segment)) is not None:
                self._told[segment.binding] = run

    def _refuse(self, what: str, reason: str, was_used: bool = False) -> None:
        self.counts[what] += 1
        self.counts["used"] -= was_used
        if len(self.problems) < 5:
            self.problems.append(reason)

    def _add(self, segment: Segment) -> None:
        run = run_of(segment.binding, self.bundle.tag)
        if run is None or self._told.setdefault(segment.binding, run) != run:
            self._refuse("other model", f"a segment is bound to {segment.binding.hex()}")
            return
        if self.scene_id is None:
            self.scene_id = segment.scene_id
        if segment.scene_id != self.scene_id:
            self.counts["other scene"] += 1
            return
        if segment.kind not in _OF_A_PICTURE:
            self.counts["used"] += 1  # a kind of a newer minor version, or for repair
            return
        if self.run is None:
            self.run = run
        if run != self.run:
            if not self.counts["other run"]:
                reason = f"another encoding of scene {self.scene_id}, run {run}, is left out"
                self.problems.append(reason)
            self.counts["other run"] += 1
            return
        try:
            self._use(segment)
            self.counts["used"] += 1
        except StreamError as error:
            self._refuse("damaged", str(error))

    def _use(self, segment: Segment) -> None:
        if segment.kind in (Kind.TILE, Kind.MASK):
            self.tiles.setdefault(segment.tile, []).append(segment)
            return
        if segment.tile or segment.layer or segment.first or segment.edge:
            raise StreamError("scene or end segment: tile, layer, first or edge is set")
        if segment.kind == Kind.SCENE:
            self._use_header(SceneHeader.unpack(segment.body))
        else:
            end = EndOfScene.unpack(segment.body)
            if self.end not in (None, end):
                raise StreamError(f"end segment: {end} contradicts {self.end}")
            self.end = end

    def _use_header(self, header: SceneHeader) -> None:
        profile = profile_of(header.profile, self.wanted.profile)
        try:
            bundle = self.bundle.for_scene(
                header.bands, header.significant_bits, profile, header.tile
            )
        except InputError as error:
            raise StreamError(f"scene header: {error}") from error
        if self.header is not None and replace(self.header, height=header.height) != header:
            raise StreamError("scene header: contradicts an earlier one")
        if self.header is not None and self.header.height and header.height != self.header.height:
            raise StreamError(f"scene header: height {header.height} contradicts an earlier one")
        self.header, self.bundle = header, bundle

    def grid(self) -> TileGrid:
        """Return the tile grid; tiles beyond it are counted as damaged.

        Raises:
            StreamError: no header and no width, or no way to know the height.
            InputError: the bundle takes no so many bands, or no such tiles.
            LimitError: the scene would have more pixels than are wanted.
        """
        wanted = self.wanted
        width = self.header.width if self.header else wanted.width
        if width is None:
            raise StreamError("stream: no scene header arrived; give the width (--width)")
        if width < 1:
            raise UsageError(f"width: expected 1 or more, found {width}")
        if self.header is None and wanted.profile is not None:
            self.bundle = self.bundle.for_scene(wanted.profile.bands, 16, wanted.profile)
        elif self.header is None:
            bands = self.bundle.bands if wanted.bands is None else wanted.bands
            size = self.end.height if self.end else 0, width
            tile = wanted.tile
            if tile is None:
                tile, self.placed = likely_tile(self.bundle.codec, bands, size, self.tiles)
            self.bundle = self.bundle.for_scene(bands, 16, tile=tile)
        height = self._height(width)
        if width * height > wanted.max_pixels:
            raise LimitError(
                f"scene: {width} x {height} pixels, the limit is {wanted.max_pixels} (--max-pixels)"
            )
        grid = TileGrid(width, height, self.bundle.tile, self.bundle.codec.groups)
        for index in [i for i in self.tiles if i >= grid.count]:
            for _ in self.tiles.pop(index):
                self.refuse(f"tile {index}: the scene has {grid.count} tiles")
        return grid

    def _height(self, width: int) -> int:
        if self.header and self.header.height:
            if self.end and self.end.height != self.header.height:
                self.refuse(f"end segment: height {self.end.height} contradicts the header")
                self.end = None
            return self.header.height
        if self.end:
            return self.end.height
        if not self.tiles:
            raise StreamError("stream: height unknown: no header, end or tile arrived")
        last = max(self.tiles)
        row = last // (self.bundle.codec.groups * -(-width // self.bundle.tile))
        rows = next((s.edge[0] for s in self.tiles[last] if s.edge), self.bundle.tile)
        # Only a tile that is cut below is surely in the last row of the scene.
        self.height_known = rows < self.bundle.tile
        return row * self.bundle.tile + rows

    @property
    def is_bounded(self) -> bool:
        """Whether all tiles that arrived are coded within a bound on their error."""
        states = {is_within(body[0]) for _, body in self.first_layers() if body[1:]}
        return self.bundle.bounded is not None and states == {True}

    def bounded(self) -> set[int]:
        """Return the tiles of which it has arrived that they are coded within a bound."""
        return {index for index in self.tiles if self.says_bounded(index)}

    def says_bounded(self, index: int) -> bool:
        """Return whether it has arrived of a tile that it is coded within a bound."""
        if self.bundle.bounded is None:
            return False
        for segment in self.arrived(index):
            is_first = segment.layer == 0 and segment.kind == Kind.TILE
            if is_first and segment.body and is_within(segment.body[0]):
                return True
        return False

    @property
    def parts(self) -> bool:
        """Whether tiles are in two parts, as far as a scene header or the tiles told."""
        if self.header is not None:
            return self.header.parts is not None
        return any(in_two_parts(body[0]) for _, body in self.first_layers() if body)

    @property
    def signed(self) -> bool:
        """Whether samples are two's complement, as far as a scene header told."""
        return self.header is not None and is_signed(self.header.sample_type)

    def first_layers(self, grid: TileGrid | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield tile and body of each segment, of the grid if told, that begins with layer 0."""
        for index in sorted(self.tiles):
            for segment in self.tiles[index]:
                inside = grid is None or index < grid.count
                if segment.kind == Kind.TILE and segment.layer == 0 and inside:
                    yield index, segment.body

    def arrived(self, index: int) -> list[Segment]:
        """Return the segments of a tile."""
        return self.tiles.get(index, [])

    def fill(self, tile: Tile, grid: TileGrid, index: int) -> Tile:
        """Place in a tile what has arrived of it; a segment that does not fit counts as damaged.

        Of segments that contradict each other the first to arrive is believed.
        """
        edge = None if tile.rows == tile.cols == grid.tile else (tile.rows, tile.cols)
        own = self.tiles.get(index, [])
        if (first := grid.first(index)) != index:  # the first group of bands tells the nodata
            masks = (s for s in self.tiles.get(first, ()) if s.kind == Kind.MASK)
            own = [*own, *(replace(segment, tile=index) for segment in masks)]
        for segment in sorted(own, key=lambda s: s.kind):
            try:
                if segment.edge != edge:
                    raise StreamError(f"tile {index}: expected edge {edge}, found {segment.edge}")
                tile.place(segment)
            except StreamError as error:
                self.refuse(str(error))
        return tile

    def refuse(self, reason: str) -> None:
        """Count a segment that was taken, but makes no sense, as damaged."""
        self._refuse("damaged", reason, was_used=True)

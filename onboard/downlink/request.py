"""Request: which segments of a scene the ground asks for again (SPEC.md, section 14)."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from onboard.errors import InputError, reading
from onboard.link.segment import Kind, Segment

_MOST_BYTES = 1 << 26
_MOST = 1 << 32


@dataclass(frozen=True)
class Request:
    """What is missing of a scene, as `ground missing --json` says it.

    Attributes:
        header: whether a scene header is missing.
        end: whether the end is missing.
        absent: first and last tile of each run of tiles of which nothing arrived, rising.
        beyond: tiles from this one on are missing, too; None if there are none.
        have: of each tile of which something arrived but not all, layer and `first` of the tile
            segments that arrived.
        have_masks: of those tiles `first` of the masks that arrived; None if no mask is missing.
        rest_layer: layer with which the rest of tiles in two parts begins; None if they are not.
        rest: first and last tile of each run of tiles whose rest is asked for, rising.
    """

    header: bool
    end: bool
    absent: tuple[tuple[int, int], ...]
    beyond: int | None
    have: Mapping[int, frozenset[tuple[int, int]]]
    have_masks: Mapping[int, frozenset[int] | None]
    rest_layer: int | None = None
    rest: tuple[tuple[int, int], ...] = ()

    @classmethod
    def read(cls, path: Path, scene_id: int, run: int | None = None) -> "Request":
        """Read what a request file says of an encoding.

        Args:
            path: file of the request.
            scene_id: scene that is asked for.
            run: run of the encoding, 0 for none; None takes the only one of the scene.

        Raises:
            InputError: it cannot be read, is no request, or says nothing of the encoding.
        """
        with reading(path), path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise InputError(f"{path}: expected a request of at most {_MOST_BYTES} bytes")
        try:
            scenes = json.loads(text)["scenes"]
            names = [(_number(s["scene"]), s.get("run")) for s in scenes]
            place = _place_of(names, scene_id, run)
            found = None if place is None else cls.of(scenes[place])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{path}: expected the JSON that `ground missing --json` writes: {error!r:.200}"
            ) from error
        if found is None:
            asked = "; ".join(_name(*entry) for entry in names) or "none"
            raise InputError(
                f"{path}: expected a request of {_name(scene_id, run)}, found {asked:.200}"
            )
        return found

    @classmethod
    def of(cls, scene: Mapping[str, Any]) -> "Request":
        """Return the request that an entry of `scenes` is.

        Raises:
            ValueError, TypeError or KeyError: it is none.
        """
        runs = _runs(scene["absent_tiles"])
        rest = scene.get("rest")
        tiles = {_number(tile["tile"]): tile for tile in scene["incomplete_tiles"]}
        return cls(
            not _truth(scene["header"]),
            not _truth(scene["end"]),
            runs,
            None if _truth(scene["height_known"]) else _number(scene["tiles"]),
            {
                index: frozenset((_number(layer), _number(first)) for layer, first in tile["have"])
                for index, tile in tiles.items()
            },
            {
                index: None
                if tile["have_masks"] is None
                else frozenset(map(_number, tile["have_masks"]))
                for index, tile in tiles.items()
            },
            None if rest is None else _number(rest["layer"]),
            () if rest is None else _runs(rest["tiles"]),
        )

    def wants(self, segment: Segment) -> bool:
        """Return whether a segment of the scene is asked for."""
        if segment.kind == Kind.SCENE:
            return self.header
        if segment.kind == Kind.END:
            return self.end
        if segment.kind not in (Kind.TILE, Kind.MASK):
            return False
        if self.rest_layer is not None and segment.layer >= self.rest_layer:
            came = self.have.get(segment.tile, frozenset())
            return _has(self.rest, segment.tile) and (segment.layer, segment.first) not in came
        if self._is_absent(segment.tile):
            return True
        if segment.kind == Kind.TILE:
            have = self.have.get(segment.tile)
            return have is not None and (segment.layer, segment.first) not in have
        masks = self.have_masks.get(segment.tile)
        return masks is not None and segment.first not in masks

    def _is_absent(self, tile: int) -> bool:
        if self.beyond is not None and tile >= self.beyond:
            return True
        return _has(self.absent, tile)


def _has(runs: Sequence[tuple[int, int]], tile: int) -> bool:
    """Return whether one of some rising runs has a tile."""
    run = bisect_right(runs, tile, key=lambda run: run[0])
    return run > 0 and tile <= runs[run - 1][1]


def _runs(told: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    """Return rising runs of tiles, or refuse them."""
    runs = tuple((_number(first), _number(last)) for first, last in told)
    if any(last < first for first, last in runs) or any(a[1] >= b[0] for a, b in pairwise(runs)):
        raise ValueError("runs of tiles: expected rising ones")
    return runs


def _place_of(
    names: Sequence[tuple[int, int | None]], scene_id: int, run: int | None
) -> int | None:
    """Return which of some encodings is wanted: that of the run, else a sole one of no run told."""
    of_scene = [place for place, (scene, _) in enumerate(names) if scene == scene_id]
    same = [place for place in of_scene if run is not None and names[place][1] == run]
    if same:
        return same[0]
    alone = len(of_scene) == 1 and (run is None or names[of_scene[0]][1] is None)
    return of_scene[0] if alone else None


def _name(scene_id: int, run: int | None) -> str:
    return f"scene {scene_id}" if run is None else f"scene {scene_id}, run {run}"


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise ValueError(f"expected a number below 2^32, found {value!r:.40}")
    return value


def _truth(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError(f"expected true or false, found {value!r:.40}")
    return value

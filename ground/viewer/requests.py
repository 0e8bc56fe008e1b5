"""Requests: the page, what it asks for, and the answers."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any

from ground.api.picture import RECORDINGS
from ground.api.source import Choice, Source
from ground.scene import Scene
from ground.serve.answers import Answer
from ground.serve.library import Library, NotThereError
from ground.serve.pyramid import Pyramid
from ground.serve.requests import answered, number, open_named, read_target
from ground.station.recording import open_recording
from ground.viewer import layers
from ground.viewer.listing import Listing
from ground.viewer.view import CUTS, View
from onboard.errors import UsageError

Query = Mapping[str, Any]
_QUERY = ("scene", "run", "array", "bands", "cut", "gamma", "most", "row", "col", "version")
_REAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_PAGE = files("ground.viewer") / "page.html"
_MOST_VIEWS = 8


@dataclass(frozen=True)
class Viewer:
    """A folder that is looked at.

    Attributes:
        library: what there is to look at.
        listing: its scenes.
        original: what was encoded, where that is known.
    """

    library: Library
    listing: Listing
    original: Scene | None = None
    _views: OrderedDict[Pyramid, View] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, library: Library, original: Scene | None = None) -> "Viewer":
        """Look at what a library serves."""
        return cls(library, Listing(library), original)

    def answer(self, target: str, _origin: str) -> Answer:
        """Answer a request, see `ground.serve.server.Reply`."""
        return answered(lambda: self._answer(target))

    def _answer(self, target: str) -> Answer:
        parts, query = read_target(target, _QUERY)
        if not parts:
            return Answer(HTTPStatus.OK, "text/html; charset=utf-8", _PAGE.read_bytes())
        if parts == ("scenes.json",):
            return Answer.of({"scenes": self.listing.scenes()})
        if parts[1:] and parts[-1] in _DOCUMENTS:
            return Answer.of(_DOCUMENTS[parts[-1]](self._view(parts[:-1], query), query))
        *name, layer, zoom, col, row = ("",) * 5 + parts
        if any(name) and layer in _LAYERS and row.endswith(".png"):
            view = self._view(parts[:-4], query)
            place = (number(zoom, "z"), number(col, "x"), number(row[:-4], "y"))
            return Answer(HTTPStatus.OK, "image/png", _LAYERS[layer](view, query, *place))
        raise NotThereError(
            f"path: expected /, scenes.json, {', '.join(f'NAME/{name}' for name in _DOCUMENTS)} or "
            "NAME/LAYER/Z/X/Y.png"
        )

    def _view(self, name: tuple[str, ...], query: Query) -> View:
        """Return how a picture is looked at, the last ones kept."""
        pyramid = open_named(self.library, name, query)
        path = self.library.path_of(name)
        source = None
        if path.suffix.lower() in RECORDINGS:
            choice = self.library.chosen(query.get("scene"), query.get("run"))
            source = partial(_source, path, choice)
        with self._lock:
            if pyramid not in self._views:
                self._views[pyramid] = View(pyramid, self.library.cache, self.original, source)
                while len(self._views) > _MOST_VIEWS:
                    self._views.popitem(last=False)
            self._views.move_to_end(pyramid)
            return self._views[pyramid]


def _source(path: Path, choice: Choice) -> Source:
    return Source.of([open_recording(path)], choice)


def _pixel(view: View, query: Query) -> dict[str, Any]:
    row, col = (number(query.get(key, ""), key) for key in ("row", "col"))
    return view.pixel(row, col)


_DOCUMENTS: dict[str, Callable[[View, Query], Mapping[str, Any]]] = {
    "view.json": lambda view, _: view.as_dict(),
    "bits.json": lambda view, _: view.bits,
    "match.json": lambda view, _: view.match,
    "codes.json": lambda view, _: view.codes,
    "rate.json": lambda view, _: view.rate,
    "pixel.json": _pixel,
}


def _shown(name: str, view: View, query: Query, zoom: int, col: int, row: int) -> bytes:
    cut = query.get("cut", "2")
    if cut not in CUTS:
        raise UsageError(f"cut: expected {', '.join(CUTS)}, found {cut!r:.40}")
    tile = view.layer(name).tile(zoom, col, row)
    gamma = _real(query, "gamma", 1)
    return layers.shown(tile, _bands(view, query), *view.limits[cut], gamma)


def _error(view: View, query: Query, zoom: int, col: int, row: int) -> bytes:
    tile = view.layer("error").tile(zoom, col, row)
    return layers.error(tile, _bands(view, query), _real(query, "most", 1))


def _worth(view: View, _query: Query, zoom: int, col: int, row: int) -> bytes:
    return layers.worth(view.pyramid.tile(zoom, col, row))


_LAYERS: dict[str, Callable[[View, Query, int, int, int], bytes]] = {
    "image": partial(_shown, "image"),
    "original": partial(_shown, "original"),
    "error": _error,
    "mask": _worth,
}


def _bands(view: View, query: Query) -> list[int]:
    """Return the bands shown as red, green and blue."""
    scene = view.pyramid.picture.scene
    count = len(scene.image)
    texts = query.get("bands", ",".join(map(str, scene.rgb))).split(",")
    found = [number(text, "bands") for text in texts]
    if len(found) != 3 or max(found) >= count:
        raise UsageError(f"bands: expected three of 0..{count - 1}, found {query['bands']!r:.40}")
    return found


def _real(query: Query, name: str, default: float) -> float:
    """Return a number above 0 of a query."""
    text = query.get(name, str(default))
    if not _REAL.fullmatch(text) or float(text) <= 0:
        raise UsageError(f"{name}: expected a number above 0, found {text!r:.40}")
    return float(text)

"""Requests: what a path asks for, and the answer; anything that is asked wrongly is told so."""

import re
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from ground.serve.answers import Answer
from ground.serve.descriptions import as_dict, of_all, of_mask, of_tiles
from ground.serve.images import BLANK, samples, shown, worth
from ground.serve.library import Address, Library, NotThereError
from ground.serve.mercator import mercator_tile
from ground.serve.pyramid import Pyramid
from onboard.errors import EngineError, SkybookError, UsageError

_NUMBER = re.compile(r"[0-9]{1,9}")
_MOST_PATH = 4_096
_XML = "application/xml; charset=utf-8"
_PNG, _TIFF = "image/png", "image/tiff"
_WORDS = {"--scene-id or --all-scenes": "?scene=ID", "--array": "?array=NAME"}
"""What options of commands are called in a URL."""
_QUERY = ("scene", "run", "array")
_DESCRIPTIONS = {"gdal.xml": of_tiles, "mask.xml": of_mask, "scene.vrt": of_all}


def answer(library: Library, target: str, origin: str) -> Answer:
    """Answer a request.

    Args:
        library: what is served.
        target: path and query as they came.
        origin: 'http://HOST:PORT', by which whoever asks knows us.
    """
    return answered(lambda: _answer(library, target, origin))


def answered(make: Callable[[], Answer]) -> Answer:
    """Return an answer, or where none can be made the reason in the words of a URL."""
    try:
        return make()
    except NotThereError as error:
        return Answer.refusal(HTTPStatus.NOT_FOUND, str(error))
    except UsageError as error:
        reason = str(error)
        for option, word in _WORDS.items():
            reason = reason.replace(option, word)
        return Answer.refusal(HTTPStatus.BAD_REQUEST, reason)
    except EngineError as error:
        return Answer.refusal(HTTPStatus.NOT_IMPLEMENTED, str(error))
    except SkybookError as error:
        return Answer.refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


def _answer(library: Library, target: str, origin: str) -> Answer:
    parts, wanted = read_target(target, _QUERY)
    if not parts:
        return _index(library, origin)
    for length, make in ((1, _description), (4, _tile)):
        name, rest = parts[:-length], parts[-length:]
        made = make(library, rest, name, wanted, origin) if name else None
        if made is not None:
            return made
    raise NotThereError(
        "path: expected NAME/scene.json, gdal.xml, mask.xml, scene.vrt, tiles/Z/X/Y.tif or .png, "
        "mask/Z/X/Y.tif or xyz/Z/X/Y.png, see /"
    )


def read_target(target: str, keys: Collection[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the parts of the path, decoded once, and the query, of which keys are known.

    Raises:
        UsageError: they are no text, or ask for what there is not.
    """
    path, _, query = target.partition("?")
    if len(target) > _MOST_PATH or not path.startswith("/"):
        raise UsageError(f"path: expected '/' and at most {_MOST_PATH} characters")
    try:
        parts = tuple(unquote(part, errors="strict") for part in path.split("/")[1:])
        pairs = parse_qsl(query, strict_parsing=bool(query), errors="strict", max_num_fields=8)
    except ValueError as error:
        raise UsageError("path: expected UTF-8, and NAME=VALUE behind '?'") from error
    if len(dict(pairs)) < len(pairs) or not dict(pairs).keys() <= set(keys):
        raise UsageError(f"query: expected {', '.join(keys)}, each once")
    found: dict[str, Any] = dict(pairs)
    for key in found.keys() & {"scene", "run"}:
        found[key] = number(found[key], key)
    return (parts if parts != ("",) else ()), found


def number(text: str, what: str) -> int:
    """Return a number of a path or query.

    Raises:
        UsageError: it is none.
    """
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{what}: expected a number, found {text!r:.40}")
    return int(text)


def _index(library: Library, origin: str) -> Answer:
    pictures = {name: f"{origin}/{quote(name)}/scene.json" for name in library.names()}
    return Answer.of({"pictures": pictures})


def open_named(library: Library, name: tuple[str, ...], query: Mapping[str, Any]) -> Pyramid:
    """Return the tiles of the picture that a path and a query name, see `Library.picture`."""
    address = Address(name, query.get("scene"), query.get("run"), query.get("array"))
    return library.picture(address)


def _description(
    library: Library,
    rest: tuple[str, ...],
    name: tuple[str, ...],
    query: Mapping[str, Any],
    origin: str,
) -> Answer | None:
    (what,) = rest
    if what != "scene.json" and what not in _DESCRIPTIONS:
        return None
    pyramid = open_named(library, name, query)
    url = f"{origin}/{quote('/'.join(name))}"
    more = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in query.items())
    more = f"?{more}" if more else ""
    if what == "scene.json":
        return Answer.of(as_dict(pyramid, url, more))
    return Answer(HTTPStatus.OK, _XML, _DESCRIPTIONS[what](pyramid, url, more).encode())


def _tile(
    library: Library,
    rest: tuple[str, ...],
    name: tuple[str, ...],
    query: Mapping[str, Any],
    _origin: str,
) -> Answer | None:
    layer, *place = rest
    place[-1], _, suffix = place[-1].rpartition(".")
    made = _TILES.get((layer, suffix))
    if made is None:
        return None
    zoom, col, row = (number(text, what) for text, what in zip(place, "zxy", strict=True))
    kind = _PNG if suffix == "png" else _TIFF
    return Answer(HTTPStatus.OK, kind, made(open_named(library, name, query), zoom, col, row))


def _samples(pyramid: Pyramid, zoom: int, col: int, row: int) -> bytes:
    return samples(pyramid.tile(zoom, col, row), pyramid.picture.scene.nodata)


def _shown(pyramid: Pyramid, zoom: int, col: int, row: int) -> bytes:
    return shown(pyramid.tile(zoom, col, row), pyramid)


def _worth(pyramid: Pyramid, zoom: int, col: int, row: int) -> bytes:
    return worth(pyramid.tile(zoom, col, row))


def _on_map(pyramid: Pyramid, zoom: int, col: int, row: int) -> bytes:
    tile = mercator_tile(pyramid, zoom, col, row)
    return BLANK if tile is None else shown(tile, pyramid)


_TILES: dict[tuple[str, str], Callable[[Pyramid, int, int, int], bytes]] = {
    ("tiles", "tif"): _samples,
    ("tiles", "png"): _shown,
    ("mask", "tif"): _worth,
    ("xyz", "png"): _on_map,
}

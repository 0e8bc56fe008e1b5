"""What a raster file says of its samples beside them: read from an open dataset, and written.

The datasets are rasterio's, opened by `ground.products.geotiff`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from ground.products.origin import DOMAIN
from ground.products.utc import utc_of
from ground.scene import Scene
from onboard.link.cuc import time_text
from onboard.link.facts import Facts, Tag

_OWN_DOMAINS = {
    "IMAGE_STRUCTURE",
    "DERIVED_SUBDATASETS",
    "SUBDATASETS",
    "RPC",
    "COLOR_PROFILE",
    "xml:VRT",
    "vrt_sources",
    "LocationInfo",
}
"""Metadata domains that GDAL fills by itself, or that are no texts."""
_UNWRITTEN = ("ns", "bidx")
"""Keys that rasterio takes for arguments of its own."""
_FIRST = ("AREA_OR_POINT", "TIFFTAG_DATETIME")
_OF_BANDS = "SKYBOOK_TAGS_OF_BANDS"
"""Domain in which tags of bands are, until the file is whole."""
_WORD = f' domain="{_OF_BANDS}"'.encode()
START_TAG = "START_TIME_TAI"
"""Key of the tag that tells the time of line 0."""
TIME_TAG = "IMAGERY", "ACQUISITIONDATETIME"
"""Domain and key in which GDAL's readers of satellite imagery tell the time, UTC."""
_PALETTE = 2
_COLOURS = {*range(2), *range(3, 6), *range(7, 17)}
"""Numbers of colour interpretations, palette and alpha left out."""
_NO_COLOURS = {0, 1, _PALETTE}
_Entry = TypeVar("_Entry")


def read_facts(dataset: Any, indexes: Sequence[int]) -> tuple[Facts, list[str]]:
    """Return what an open dataset says of its bands, and what of it is left behind, in words.

    Args:
        dataset: dataset open for reading.
        indexes: numbers of the bands that are kept, from 1.
    """
    remarks = []
    pairs = [(float(dataset.scales[i - 1]), float(dataset.offsets[i - 1])) for i in indexes]
    if not all(math.isfinite(number) for pair in pairs for number in pair):
        remarks.append(f"scale and offset {pairs[0]}")
        pairs = [(1.0, 0.0)]
    units = [dataset.units[i - 1] or "" for i in indexes]
    colours = [int(dataset.colorinterp[i - 1]) for i in indexes]
    shown = () if set(colours) <= _NO_COLOURS else tuple(c % 256 for c in colours)
    tags = list(_tags(dataset, indexes))
    tags = [tag for tag in tags if tag[0] != DOMAIN]
    kept = [tag for tag in tags if not tag[1].startswith("STATISTICS_")]
    remarks += _left(dataset, indexes, colours) + ["statistics"] * (len(kept) < len(tags))
    remarks += [f"tag {key}" for _, key, _ in kept if key in _UNWRITTEN]
    kept.sort(key=lambda tag: tag[1] not in _FIRST)
    facts = Facts(
        _for_all(pairs) if set(pairs) != {(1.0, 0.0)} else (),
        _for_all(units) if any(units) else (),
        shown,
        tuple(kept),
    )
    return facts, remarks


def _for_all(entries: Sequence[_Entry]) -> tuple[_Entry, ...]:
    """Return one entry where all bands have the same, else all of them."""
    return tuple(entries[:1] if len(set(entries)) == 1 else entries)


def _tags(dataset: Any, indexes: Sequence[int]) -> Iterator[Tag]:
    """Yield the texts of the file, of its bands by their new numbers, and of its domains."""
    for key, value in dataset.tags().items():
        if (key, value) != ("AREA_OR_POINT", "Area"):
            yield "", key, value
    for number, index in enumerate(indexes, 1):
        for key, value in dataset.tags(index).items():
            yield str(number), key, value
    for domain in dataset.tag_namespaces():
        if _is_text(domain):
            for key, value in dataset.tags(ns=domain).items():
                yield domain, key, value


def _is_text(domain: str) -> bool:
    """Return whether a metadata domain holds texts of the file's maker."""
    return bool(domain) and domain not in _OWN_DOMAINS and ":" not in domain


def _left(dataset: Any, indexes: Sequence[int], colours: Sequence[int]) -> list[str]:
    """Return what no scene header has a place for, in words."""
    found = [f"nodata {v}" for v in {*dataset.nodatavals} - {None} if not float(v).is_integer()]
    points = len(dataset.gcps[0])
    if points:
        found.append(f"{points} ground control points")
    if dataset.rpcs is not None:
        found.append("RPC")
    if _PALETTE in colours:
        found.append("colour table")
    domains = set(dataset.tag_namespaces()) - _OWN_DOMAINS
    found += [f"metadata {name}" for name in sorted(domains) if name and not _is_text(name)]
    if "COLOR_PROFILE" in dataset.tag_namespaces():
        found.append("colour profile")
    if any(set(dataset.tag_namespaces(i)) - _OWN_DOMAINS - {""} for i in indexes):
        found.append("metadata domains of bands")
    return found


def significant_bits(dataset: Any, indexes: Sequence[int]) -> int | None:
    """Return the bits of a sample in use (NBITS); None where it is all of them."""
    told = (dataset.tags(index, ns="IMAGE_STRUCTURE").get("NBITS") for index in indexes)
    bits = [int(text) if text and text.isdigit() else 0 for text in told]
    full = {"uint8": 8, "uint16": 16}.get(dataset.dtypes[0], 0)
    return max(bits) if all(0 < count < full for count in bits) else None


def write_facts(dataset: Any, scene: Scene) -> None:
    """Say of a dataset open for writing, with all of its bands, what a scene tells beside them."""
    facts, count = scene.facts, dataset.count
    if scene.band_ids:
        dataset.descriptions = scene.band_ids
    if facts.calibration:
        pairs = _for_each(facts.calibration, count)
        dataset.scales = tuple(scale for scale, _ in pairs)
        dataset.offsets = tuple(offset for _, offset in pairs)
    if facts.units:
        dataset.units = _for_each(facts.units, count)
    if facts.colours:
        known = type(dataset.colorinterp[0])
        shown = tuple(known(c if c in _COLOURS else 0) for c in facts.colours)
        dataset.colorinterp = _for_each(shown, count)
    numbers = {str(number): number for number in range(1, count + 1)}
    for place, key, value in facts.tags:
        if key in _UNWRITTEN:
            continue
        if place in numbers:
            dataset.update_tags(numbers[place], _OF_BANDS, **{key: value})
        elif not place.isdigit() and (_is_text(place) or not place):
            dataset.update_tags(ns=place or None, **{key: value})
    if scene.start_time is not None:
        dataset.update_tags(**{START_TAG: time_text(scene.start_time)})
        if not any(place == TIME_TAG[0] and key == TIME_TAG[1] for place, key, _ in facts.tags):
            time = utc_of(scene.start_time).isoformat(" ", "seconds")
            dataset.update_tags(ns=TIME_TAG[0], **{TIME_TAG[1]: time})


def in_place(file: memoryview) -> bytes | memoryview:
    """Return a file that GDAL copied with the tags of its bands where readers look for them.

    GDAL copies either no domains of tags, or of bands nothing but domains (findings/gdal_tags.sh).
    So `write_facts` puts them into a domain, and here its name goes, spaces in its place.
    """
    whole = bytes(file)
    return whole.replace(_WORD, b" " * len(_WORD)) if _WORD in whole else file


def _for_each(entries: tuple[_Entry, ...], count: int) -> tuple[_Entry, ...]:
    """Return an entry for each band."""
    return entries * count if len(entries) == 1 else entries

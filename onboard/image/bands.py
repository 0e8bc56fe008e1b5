"""Bands by what they see: blue, green, red and near infrared, told from the names of bands."""

import re
from collections.abc import Sequence

BLUE, GREEN, RED, INFRARED = "blue", "green", "red", "infrared"
_SENTINEL2 = {"2": BLUE, "3": GREEN, "4": RED, "8": INFRARED}
_BEFORE, _AFTER = "(?<![a-z0-9])", "(?![a-z0-9])"
_NUMBER = re.compile(f"{_BEFORE}b0?([2348]){_AFTER}")
_INFRARED = re.compile(f"{_BEFORE}(nir|near[ _-]?infra-?red){_AFTER}")
_COLOUR = re.compile(f"{_BEFORE}(blue|green|red){_AFTER}")
_OTHER = re.compile(f"{_BEFORE}(red[ _-]?edge|coastal|deep){_AFTER}")


def colour_of(name: str) -> str | None:
    """Return what a band of this name sees, None if the name does not tell.

    Known are Sentinel-2's numbers (B2 or B02, B3, B4, B8), also within a longer name such as
    'B4, central wavelength 665 nm', and the words blue, green, red, NIR and near infrared.
    """
    text = name.lower()
    number = _NUMBER.search(text)
    if number:
        return _SENTINEL2[number[1]]
    if _OTHER.search(text):
        return None
    if _INFRARED.search(text):
        return INFRARED
    word = _COLOUR.search(text)
    return word[1] if word else None


def places_of(names: Sequence[str]) -> dict[str, int]:
    """Return where each colour is among bands of these names, if one band alone sees it."""
    colours = [colour_of(name) for name in names]
    return {c: place for place, c in enumerate(colours) if c and colours.count(c) == 1}


def other_order(names: Sequence[str], expected: Sequence[str]) -> bool:
    """Return whether bands of these names see their colours in another order than expected."""
    found, wanted = places_of(names), places_of(expected)
    return any(found[colour] != wanted[colour] for colour in found.keys() & wanted.keys())


def short_names(names: Sequence[str]) -> str:
    """Return names in one line, each up to its first comma."""
    return " ".join(name.split(",")[0] or "-" for name in names)

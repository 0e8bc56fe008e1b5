"""Bands by their names."""

import pytest

from onboard import bundle as bundles
from onboard.bundle.bands import trained_bands
from onboard.image.bands import colour_of, other_order, places_of, short_names


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("B02", "blue"),
        ("B3", "green"),
        ("b04", "red"),
        ("T33UUB_20260501_B08_10m", "infrared"),
        ("B4, central wavelength 665 nm", "red"),
        ("Blue", "blue"),
        ("near infrared", "infrared"),
        ("NIR, broad", "infrared"),
        ("near-infrared", "infrared"),
        ("Red edge 1", None),
        ("coastal blue", None),
        ("rededge", None),
        ("B8A", None),
        ("B11", None),
        ("B12", None),
        ("SWIR", None),
        ("evergreen", None),
        ("", None),
    ],
)
def test_names_tell_what_bands_see(name: str, colour: str | None) -> None:
    assert colour_of(name) == colour


def test_a_colour_of_two_bands_tells_nothing() -> None:
    assert places_of(("red", "B04", "B02", "")) == {"blue": 2}


def test_every_shipped_bundle_tells_its_bands() -> None:
    for path in bundles.known().values():
        bundle = bundles.load(str(path))
        found = trained_bands(bundle)
        assert found[:4] == ("B02", "B03", "B04", "B08"), path
        assert len(found) == bundle.bands, path
    assert trained_bands(bundles.load("skybook").for_scene(3, 16)) == ()


def test_another_order_is_seen() -> None:
    names = ("B4, central wavelength 665 nm", "B3", "B2", "B8")
    trained = ("B02", "B03", "B04", "B08")
    assert other_order(names, trained)
    assert short_names(names) == "B4 B3 B2 B8"
    assert not other_order(("blue", "green", "red", "B11"), trained)
    assert not other_order(("a", "b", "c", "d"), trained)
    assert not other_order(names, ())

"""The bands that shipped models were trained on."""

from onboard.bundle.bundle import Bundle

_SENTINEL2 = ("B02", "B03", "B04", "B08")
_SENTINEL2_20M = ("B05", "B06", "B07", "B8A", "B11", "B12")
_TRAINED_ON = {
    bytes.fromhex("dd58444f"): _SENTINEL2,  # corsa-2level-1024
    bytes.fromhex("0e32242b"): _SENTINEL2,  # corsa-3level-1024
    bytes.fromhex("c4b6a715"): _SENTINEL2 + _SENTINEL2_20M,  # corsa-2level-10band
    bytes.fromhex("ee3dce14"): _SENTINEL2,  # skybook
}
"""Names of bands in their order, by the tag of the model."""


def trained_bands(bundle: Bundle) -> tuple[str, ...]:
    """Return the names of the bands that a model was trained on; () if unknown, or not so many."""
    found = _TRAINED_ON.get(bundle.tag, ())
    return found if len(found) == bundle.bands else ()

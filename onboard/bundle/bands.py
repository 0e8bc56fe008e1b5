"""The bands that shipped models were trained on."""

_SENTINEL2 = ("B02", "B03", "B04", "B08")
_TRAINED_ON = {
    bytes.fromhex("dd58444f"): _SENTINEL2,  # corsa-2level-1024
    bytes.fromhex("0e32242b"): _SENTINEL2,  # corsa-3level-1024
    bytes.fromhex("6495af3e"): _SENTINEL2,  # skybook-s2
}
"""Names of bands in their order, by the tag of the model."""


def trained_bands(tag: bytes) -> tuple[str, ...]:
    """Return the names of the bands that the model of a tag was trained on; () if unknown."""
    return _TRAINED_ON.get(tag, ())

"""The flight side of skybook: images in, segments out, each decodable alone, at any rate.

Its flagship is a lapped codec of integers that runs on numpy; ARCHITECTURE.md lists what flies.

    stream = onboard.encode(image, ratio=20)   # (bands, rows, cols), 8 or 16 bits
"""

from importlib import import_module
from typing import Any

__all__ = ["encode"]


def encode(image: Any, bundle: str = "skybook", **options: Any) -> bytes:
    """Return the segments of an image (bands, rows, cols) of 8 or 16 bits as one stream.

    The encoder is loaded here: most of the package needs none.

    Args:
        image: image, or one band (rows, cols).
        bundle: name or path of the bundle.
        options: one of `ratio`, `budget` (bytes), `rmse`, `psnr` or `max_error`; `nodata`,
            `header`, `trellis`, `profile` and so on, as of `onboard.encoder.array.encode_array`.
            Without `trellis` the bytes depend on whether engine `c` is built; with it they do not.
    """
    stream: bytes = import_module("onboard.encoder.array").encode_array(image, bundle, **options)
    return stream

"""JPEG 2000 codestreams of a given length."""

import numpy as np
from numpy.typing import NDArray

from ground.products.geotiff import check_uint16, jpeg2000_encode
from onboard.errors import LimitError

SEARCH_STEPS = 16
CLOSE_ENOUGH = 0.995


def jpeg2000_at_bytes(image: NDArray[np.uint16], budget: int, tile: int | None = None) -> bytes:
    """Code an image into at most `budget` bytes, and as near below it as 0.5 % where it can be.

    OpenJPEG's length is not a continuous function of the size asked for: at most `SEARCH_STEPS`
    encodings are tried by secant and bisection, and the longest that fits is kept. `tile` is that
    of `jpeg2000_encode`.

    Raises:
        InputError: another dtype or shape.
        LimitError: the coarsest encoding is longer than the budget.
    """
    check_uint16(image)
    raw, best = image.nbytes, b""
    asked, low, high = float(min(max(budget, 1), raw)), 1.0, float(raw)
    for tries in range(SEARCH_STEPS):
        stream = jpeg2000_encode(image, raw / asked, tile)
        if len(stream) <= budget:
            low, best = asked, max(best, stream, key=len)
        else:
            high = asked
        if low == raw or len(best) >= CLOSE_ENOUGH * budget > 0 or high - low < budget / 1000:
            break
        secant = asked * budget / len(stream)
        useful = low < secant and (secant < high or high == raw)
        asked = min(secant, high) if useful else (low + high) / 2
        if not best:  # lengths come in plateaus: step down faster and faster until one fits
            asked = max(low, min(asked, high * (1 - 2.0**tries / 1000)))
    if not best:
        raise LimitError(f"JPEG 2000: expected to fit {budget} bytes, found the coarsest longer")
    return best

"""Steps of the quantizer in DN, and their codes, for arrays of tiles (SPEC.md, section 9)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.transform import SUB_STEPS
from onboard.codec.tile import STEPS


def steps_of(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the steps, DN, of step codes."""
    return np.asarray(2.0 ** (codes / SUB_STEPS - 1), np.float64)


def codes_of(steps: NDArray[Any]) -> NDArray[np.int64]:
    """Return the step codes nearest to steps in DN, 0..255."""
    codes = np.rint(SUB_STEPS * np.log2(2 * steps))
    return np.asarray(np.clip(codes, 0, STEPS - 1), np.int64)

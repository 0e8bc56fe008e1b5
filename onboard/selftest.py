"""Self test: a bundle's golden vectors through the engine at hand."""

from typing import Any

import numpy as np

from onboard.bundle import Bundle
from onboard.encoder import Encoder

LEAST_AGREEMENT = 0.9
"""int8 kernels of different runtimes and processors round differently in rare cases (SPEC.md 7)."""


def run_selftest(bundle: Bundle, engine: str | None = None) -> dict[str, Any]:
    """Encode each golden tile and compare its indices with those in the bundle.

    Returns:
        name, engine, vectors, agreement_percent, agreement_percent_per_level, passed.

    Raises:
        EngineError: the engine is not installed or refuses the graph.
    """
    encoder = Encoder(bundle, engine)
    present = np.ones((bundle.tile, bundle.tile), np.bool_)
    agree = np.zeros(len(bundle.levels))
    total = np.zeros(len(bundle.levels))
    for vector in bundle.golden:
        _, maps = encoder.index_maps(vector.samples, present, bundle.tile, bundle.tile)
        for number, (found, wanted) in enumerate(zip(maps, vector.indices, strict=True)):
            agree[number] += np.count_nonzero(found == wanted)
            total[number] += found.size
    share = float(agree.sum() / total.sum()) if total.all() else 0.0
    return {
        "name": bundle.name,
        "engine": encoder.session.engine,
        "vectors": len(bundle.golden),
        "agreement_percent": 100 * share,
        "agreement_percent_per_level": [float(p) for p in 100 * agree / np.maximum(total, 1)],
        "passed": share >= LEAST_AGREEMENT,
    }

"""Self test: a bundle's golden vectors through the engine at hand."""

from typing import Any

from onboard.bundle import Bundle
from onboard.tilecoder import open_tile_coder


def run_selftest(bundle: Bundle, engine: str | None = None) -> dict[str, Any]:
    """Encode each golden tile and compare what comes out with the bundle.

    Returns:
        name, engine, vectors, agreement_percent, agreement_percent_per_level, passed.

    Raises:
        EngineError: the engine is not installed or refuses the graph.
    """
    coder = open_tile_coder(bundle, engine, 1)
    agree, total, least = coder.golden()
    share = sum(agree) / sum(total) if all(total) else 0.0
    vectors = bundle.golden_bodies if bundle.variable_rate else bundle.golden
    return {
        "name": bundle.name,
        "engine": coder.engine,
        "vectors": len(vectors),
        "agreement_percent": 100 * share,
        "agreement_percent_per_level": [
            100 * a / max(t, 1) for a, t in zip(agree, total, strict=True)
        ],
        "passed": share >= least,
    }

"""Self test: a bundle's golden vectors through the engine at hand."""

import zlib
from functools import reduce
from operator import add
from typing import Any

from onboard.bundle.bundle import Bundle
from onboard.bundle.scrub import Scrub
from onboard.codec.agreement import Agreement
from onboard.codec.tile import Codec


def golden_agreement(codec: Codec, engine: str | None = None) -> Agreement:
    """Run all golden vectors, of whatever scenes.

    Raises:
        EngineError: the engine is not installed or refuses the graph.
    """
    views = codec.golden_views or [codec]
    found = [view.open(engine).golden() for view in views]
    return reduce(add, found)


def run_selftest(bundle: Bundle, engine: str | None = None) -> dict[str, Any]:
    """Encode each golden tile and compare what comes out with the bundle; then scrub once.

    Returns:
        name, engine, vectors, agreement_percent, agreement_percent_per_level, passed; `checksums`,
        CRC-32 of each part of the bundle in memory, and `covered_bytes`, what a scrub looks at.

    Raises:
        EngineError: the engine is not installed or refuses the graph.
        BundleError: the bundle changed in memory meanwhile.
    """
    coder = bundle.codec.open(engine)
    agreement = golden_agreement(bundle.codec, engine)
    agree, total = agreement.agree, agreement.total
    share = sum(agree) / max(sum(total), 1)
    covered = 0
    if agreement.passed:
        scrub = Scrub(bundle, coder)
        scrub.check()
        covered = scrub.covered_bytes
    return {
        "name": bundle.name,
        "engine": coder.engine,
        "vectors": len(bundle.codec.golden),
        "agreement_percent": 100 * share,
        "agreement_percent_per_level": [
            100 * a / max(t, 1) for a, t in zip(agree, total, strict=True)
        ],
        "passed": agreement.passed,
        "checksums": {name: f"{zlib.crc32(part):08x}" for name, part in bundle.parts.items()},
        "covered_bytes": covered,
    }

"""Memory upsets: how many flipped bits of a model the scrub finds before a strip is sent."""

import ctypes
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from onboard.bundle import Bundle, load
from onboard.bundle.scrub import Scrub, arrays_in
from onboard.encoder import Encoder
from onboard.engine.engines import ENGINES
from onboard.errors import BundleError, EngineError

GRAPHS = {"ort": "encoder.onnx", "litert": "encoder.tflite", "tflite": "encoder.tflite"}


def measure_upsets(
    name: str, flips: int, seed: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Flip single bits, each undone before the next.

    In this process's memory of the bundle, found by CRC-32: its parts, and the arrays made from
    them. And in what an engine keeps for itself, found by the golden tile alone: the bit is flipped
    in the graph that the engine loads, which is what its own copy would hold after an upset.

    Args:
        name: name or path of the bundle.
        flips: number of bits to flip in each kind of memory.
        seed: seed of their places.
        report: function called with what is being done.

    Returns:
        `flips`, `found_in_memory` (of them), `memory_bytes`, and `engines`: for each engine that
        runs here, `found` (the golden tile differs), `refused` (the engine does not load it) and
        `missed`; all of `flips`.
    """
    bundle = load(name)
    report("memory")
    memory = _memory(bundle, flips, seed)
    engines: dict[str, dict[str, Any]] = {}
    for engine in ENGINES:
        if engine in GRAPHS:
            report(engine)
            try:
                engines[engine] = dict(_engine(bundle, engine, flips, seed))
            except EngineError as error:
                engines[engine] = {"reason": str(error)}
    return {
        "bundle": bundle.name,
        "flips": flips,
        "seed": seed,
        **memory,
        "engines": engines,
    }


def _memory(bundle: Bundle, flips: int, seed: int) -> dict[str, int]:
    encoder = Encoder(bundle)
    scrub = Scrub(bundle, encoder.coder)
    regions = [np.frombuffer(part, np.uint8) for part in bundle.parts.values()]
    regions += [
        array for _, array in arrays_in(encoder.coder.memory, "model") if array.flags.c_contiguous
    ]
    sizes = np.array([region.nbytes for region in regions])
    generator = np.random.default_rng(seed)
    found = 0
    for _ in range(flips):
        region = regions[int(generator.choice(len(regions), p=sizes / sizes.sum()))]
        place = region.ctypes.data + int(generator.integers(region.nbytes))
        bit = 1 << int(generator.integers(8))
        byte = ctypes.c_ubyte.from_address(place)
        byte.value ^= bit
        try:
            scrub.check()
        except BundleError:
            found += 1
        byte.value ^= bit
    scrub.check()
    return {"found_in_memory": found, "memory_bytes": int(sizes.sum())}


def _engine(bundle: Bundle, engine: str, flips: int, seed: int) -> Counter[str]:
    codec: Any = bundle.codec  # a dataclass, whatever its family
    wanted = codec.open(engine).probe()
    graph = bundle.parts[GRAPHS[engine]]
    generator = np.random.default_rng(seed)
    counts: Counter[str] = Counter(found=0, refused=0, missed=0)
    for _ in range(flips):
        changed = bytearray(graph)
        changed[int(generator.integers(len(graph)))] ^= 1 << int(generator.integers(8))
        parts = {**bundle.parts, GRAPHS[engine]: bytes(changed)}
        try:
            with np.errstate(invalid="ignore"):
                probe = replace(codec, parts=parts).open(engine).probe()
        except Exception:  # whatever an engine raises, it does not run
            counts["refused"] += 1
        else:
            counts["found" if probe != wanted else "missed"] += 1
    return counts

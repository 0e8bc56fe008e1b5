#!/usr/bin/env bash
# constriction takes the rows of a matrix of probabilities from memory as it lies there: one in
# column order (Fortran order), as a transpose gives it, is read as if it were in row order. Symbols
# come back, as both sides err alike, but take many times the bits; a reader whose matrix has the
# same values in row order gets other symbols. Arrays with gaps are refused with an error.
# skybook lays its matrices out row by row (Symbols in benchmarks/codecs/learned/rangecoder.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq constriction==0.5.0 numpy==2.4.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from constriction import stream

RNG = np.random.default_rng(1)
CHANCES = RNG.dirichlet(np.full(5, 0.2), 1000)
SYMBOLS = np.array([RNG.choice(5, p=row) for row in CHANCES], np.int32)
MODEL = stream.model.Categorical(perfect=False)


def coded(chances):
    """Return what symbols are coded to."""
    encoder = stream.queue.RangeEncoder()
    encoder.encode(SYMBOLS, MODEL, chances)
    return encoder.get_compressed()


def decoded(words, chances):
    return stream.queue.RangeDecoder(words).decode(MODEL, chances)


columns = np.asfortranarray(CHANCES)
assert np.array_equal(columns, CHANCES)
least = -np.log2(np.maximum(CHANCES[np.arange(1000), SYMBOLS], 2.0**-24)).sum()
by_rows, by_columns = (32 * len(coded(chances)) for chances in (CHANCES, columns))
back = np.array_equal(decoded(coded(columns), columns), SYMBOLS)
try:
    across = np.array_equal(decoded(coded(columns), CHANCES), SYMBOLS)
except AssertionError:
    across = False
try:
    coded(np.repeat(CHANCES, 2, axis=0)[::2])
    gaps = "taken"
except TypeError:
    gaps = "refused"
print(f"constriction {version('constriction')}, numpy {np.__version__}")
print("Done: 1,000 symbols coded with one matrix of probabilities, in row and in column order.")
print(f"  entropy {least:.0f} bits, row order {by_rows}, column order {by_columns}")
print(f"  column order read with column order: {'equal' if back else 'other'} symbols")
print(f"  column order read with row order: {'equal' if across else 'other'} symbols")
print(f"  the same matrix with gaps between its rows: {gaps}")
print("Seen: equal matrices give other streams, the one in column order far from its entropy.")
print("Expected: the same stream whatever the order in memory, or an error, as with gaps.")
same = by_rows < 1.1 * least and by_columns > 2 * least and back and not across
same &= gaps == "refused"
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON

"""Constant arrays in C: their declarations, definitions and bytes in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["<", ">"]
SMALL_BUILD, USUAL_BUILD = "SKYBOOK_SMALL", "!SKYBOOK_SMALL"
"""Where a build for microcontrollers makes do with less (small.h)."""
_PER_LINE = 96


@dataclass(frozen=True)
class Table:
    """A constant array.

    Attributes:
        name: without prefix.
        kind: C type of its elements.
        values: integers, of any shape.
        where: builds that have it, as a condition in C; empty: all.
    """

    name: str
    kind: str
    values: NDArray[Any]
    where: str = ""

    @property
    def declaration(self) -> str:
        """The C declaration, without `extern` and semicolon."""
        sides = "".join(f"[{side}]" for side in self.values.shape)
        return f"const {self.kind} skybook_{self.name}{sides}"

    def memory(self, order: Order) -> bytes:
        """Return the bytes that it is in memory; `order` is `<` or `>`, of a byte and the next."""
        kind = self.kind.removesuffix("_t")
        return self.values.astype(np.dtype(kind).newbyteorder(order)).tobytes()

    @property
    def definition(self) -> str:
        """The C definition, where it is."""
        return self._guarded(f"{self.declaration} = {braces(self.values)};\n")

    @property
    def external(self) -> str:
        """The C declaration, where it is."""
        return self._guarded(f"extern {self.declaration};")

    def _guarded(self, text: str) -> str:
        return f"#if {self.where}\n{text}\n#endif" if self.where else text


def check(tables: list[Table], order: Order) -> tuple[int, int]:
    """Return the check of tables in memory: see `struct skybook_check`, guard.c.

    Args:
        tables: constants.
        order: of bytes in memory, `<` or `>`.
    """
    memories = (table.memory(order) for table in tables)
    padded = b"".join(m.ljust(-(-len(m) // 32) * 32, b"\0") for m in memories)
    sums = np.frombuffer(padded, f"{order}u8").astype(np.uint64).cumsum()
    return int(sums[-1]), int(sums.sum())


def braces(values: NDArray[Any]) -> str:
    """Return an initialiser of an array of integers."""
    if values.ndim > 1:
        return "{" + ",\n".join(braces(part) for part in values) + "}"
    return "{" + "\n".join(_lines(str(value) for value in values.tolist())) + "}"


def _lines(words: Iterator[str]) -> Iterator[str]:
    """Yield lines of words with commas between."""
    line = ""
    for word in words:
        if len(line) + len(word) > _PER_LINE:
            yield line
            line = ""
        line += word + ", "
    yield line.removesuffix(", ")

"""C source: the onboard encoder of a bundle as plain C99, its tables as constants.

The sources in `export/c` are the same for every bundle; `tables.h`, `tables.c` and `golden.c` are
made here.
"""

from importlib.resources import files
from pathlib import Path

from export.csource.arrays import SMALL_BUILD, USUAL_BUILD, Order, Table, check
from export.csource.boundedtables import bounded_constants
from export.csource.bounds import check_bounds
from export.csource.golden import Golden, golden_source, goldens
from export.csource.tables import constants, numbers, sum_type, widest_layers
from onboard.bundle import Bundle
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.lapped.codec import LappedCodec
from onboard.errors import BundleError, UsageError


def write(bundle: Bundle, folder: Path) -> list[Path]:
    """Write the C sources of a bundle's encoder.

    Args:
        bundle: a bundle of coder 'rans'.
        folder: made if it does not exist; files of the same name are replaced.

    Returns:
        The files written.

    Raises:
        BundleError: a bundle of fixed rate, or one whose numbers do not fit the C types.
        UsageError: the folder or a file cannot be written.
    """
    if not bundle.variable_rate:
        raise BundleError(
            f"{bundle.name}: expected a bundle of the lapped codec (coder 'rans'), found coder "
            f"{bundle.kind!r}: its networks run on an inference engine only"
        )
    tables = constants(bundle)
    bounded = bounded_constants(BoundedCodec.of(bundle.bounded)) if bundle.bounded else []
    check_bounds(bundle, [*tables, *bounded])
    golden = goldens(bundle)
    contents = {
        "tables.h": _header(bundle, tables, bounded, golden),
        "tables.c": _source(tables, bounded),
        "golden.c": golden_source(golden),
    }
    for source in files("export").joinpath("c").iterdir():
        if source.name == "Makefile" or source.name.endswith((".c", ".h", ".ld")):
            contents[source.name] = source.read_text()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise UsageError(f"{folder}: expected a folder to write to: {error.strerror}") from error
    return [folder / name for name in sorted(contents)]


def _source(tables: list[Table], bounded: list[Table]) -> str:
    """Return `tables.c`."""
    parts = ['#include "tables.h"\n', *(table.definition for table in tables)]
    if bounded:
        definitions = (table.definition for table in bounded)
        parts += ["#if SKYBOOK_BOUNDED", *definitions, "#endif\n"]
    return "\n".join(parts)


def _header(bundle: Bundle, tables: list[Table], bounded: list[Table], golden: list[Golden]) -> str:
    """Return `tables.h`."""
    sums = sum_type(LappedCodec.of(bundle.codec).model.weights)
    lines = [
        f"/* Constants of bundle {_plain(bundle.name)}, model {bundle.model_hash.hex()[:16]}. */",
        "#ifndef SKYBOOK_TABLES_H",
        "#define SKYBOOK_TABLES_H",
        "",
        "#include <stdint.h>",
        "",
        '#include "small.h"',
        "",
        *(f"#define SKYBOOK_{name} {value}" for name, value in numbers(bundle).items()),
        "",
        "/* Channels of the widest layer of scenes of up to so many bands, or of one. */",
        f"#define SKYBOOK_WIDEST_LAYER(bands) {_chosen(widest_layers(bundle))}",
        "",
        "/* Holds every sum of the context model. */",
        f"typedef {sums} skybook_sum;",
        f"#define SKYBOOK_SUM_BITS {sums.strip('uint_')}",
        "",
        *(table.external for table in tables),
        "",
        "/* All of them, and what they come to in memory of either order of bytes: see guard.c. */",
        f"#if {SMALL_BUILD}",
        *_guard("", [table for table in tables if table.where != USUAL_BUILD]),
        "#else",
        *_guard("", [table for table in tables if table.where != SMALL_BUILD]),
        "#endif",
        "",
        *_bounded(bounded),
        "/* The bundle's name, and its golden tiles: see selftest.h. */",
        f'#define SKYBOOK_NAME "{_plain(bundle.name)}"',
        f"#define SKYBOOK_GOLDENS ({_count(golden)})",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _guard(name: str, tables: list[Table]) -> list[str]:
    """Return what goes over tables, and their checks."""
    return [
        f"#define SKYBOOK_{name}TABLES(X) " + " ".join(f"X({table.name})" for table in tables),
        f"#define SKYBOOK_{name}CHECK_LITTLE {_check(tables, '<')}",
        f"#define SKYBOOK_{name}CHECK_BIG {_check(tables, '>')}",
    ]


def _bounded(tables: list[Table]) -> list[str]:
    """Return what there is for tiles within a bound on their error."""
    if not tables:
        return [
            "/* The bundle has nothing for tiles within a bound on their error. */",
            *("#undef SKYBOOK_BOUNDED", "#define SKYBOOK_BOUNDED 0", ""),
        ]
    return [
        "/* Tiles within a bound on their error: 0 leaves them out. */",
        *("#ifndef SKYBOOK_BOUNDED", "#define SKYBOOK_BOUNDED 1", "#endif"),
        *(table.external for table in tables),
        *_guard("BOUNDED_", tables),
        "",
    ]


def _chosen(values: list[int]) -> str:
    """Return the one of some values that `bands`, from 1, says, as a C expression."""
    *others, last = values
    asked = "".join(f"(bands) == {bands} ? {value} : " for bands, value in enumerate(others, 1))
    return f"({asked}{last})"


def _count(golden: list[Golden]) -> str:
    """Return how many golden tiles a build takes, as a C expression."""
    return " + ".join(tile.needs for tile in golden) or "0"


def _check(tables: list[Table], order: Order) -> str:
    """Return the check of tables as a C initialiser."""
    return "{" + ", ".join(f"UINT64_C({value:#018x})" for value in check(tables, order)) + "}"


def _plain(name: str) -> str:
    """Return a bundle's name as it may stand in a comment."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)

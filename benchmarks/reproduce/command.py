"""Command `reproduce`."""

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.files import read_result
from benchmarks.machine import machine
from benchmarks.reproduce.page import html_page
from benchmarks.reproduce.report import text
from benchmarks.reproduce.table import Settings, Table, nested
from benchmarks.reproduce.tables import TABLES
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError
from onboard.outputs import open_whole, refuse_overwriting


def add_reproduce(commands: Commands) -> None:
    """Add `reproduce`."""
    titles = "; ".join(f"{table.name}: {table.title}" for table in TABLES.values())
    reproduce = commands.add_parser(
        "reproduce",
        help="tables of papers, measured again beside what they published",
        description=f"Without a name all tables. {titles}.",
        epilog="example: python -m benchmarks reproduce corsa-openeo --data FOLDER --json out.json",
    )
    reproduce.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    reproduce.add_argument("--data", type=Path, metavar="DIR", help="folder of scenes")
    reproduce.add_argument(
        "--bundle",
        action="append",
        default=[],
        help="bundle to measure beside those of the table; may be repeated",
    )
    reproduce.add_argument("--quick", action="store_true", help="small settings, for a look")
    reproduce.add_argument("--page", type=Path, metavar="FILE", help="HTML page with plots")
    reproduce.add_argument(
        "--measured",
        type=Path,
        action="append",
        default=[],
        metavar="JSON",
        help="result of an earlier run, whose tables are not measured again; may be repeated",
    )
    add_json_option(reproduce)
    reproduce.set_defaults(run=_reproduce)


def _reproduce(arguments: argparse.Namespace) -> int:
    chosen = _chosen(arguments.tables)
    refuse_overwriting({"--page": arguments.page}, arguments.measured)
    earlier = [read_result(path) for path in arguments.measured]
    document: dict[str, Any] = {}
    with Console(stderr=True).status("starting") as status:
        settings = Settings(arguments.data, tuple(arguments.bundle), arguments.quick, status.update)
        for table in chosen:
            before = [found[table.name] for found in earlier if table.name in found]
            document[table.name] = before[-1] if before else measured(table, settings)
    document["machine"] = machine()
    if arguments.page:
        with open_whole(arguments.page) as file:
            file.write(html_page(chosen, document).encode())
    texts = [text(table, document[table.name]) for table in chosen]
    print_result(document, "\n\n".join(texts), arguments.json)
    return 0


def _chosen(names: list[str]) -> list[Table]:
    """Return the tables of names, all without one.

    Raises:
        UsageError: there is no such table.
    """
    for name in names:
        if name not in TABLES:
            raise UsageError(f"table: expected one of {', '.join(TABLES)}, found {name!r:.60}")
    return [table for table in TABLES.values() if not names or table.name in names]


def measured(table: Table, settings: Settings) -> dict[str, Any]:
    """Measure a table.

    Returns:
        By codec its figures by row, those of rows `A.B` under A; and `published`, likewise,
        `source`, `data`, `seeds`, `notes`, `differs`, `details`, `quick` and `seconds`.
    """
    begun = time.monotonic()
    found = asdict(table.measure(settings))
    return {
        **nested(found.pop("codecs")),
        "published": nested(table.published),
        "source": table.source,
        **found,
        "differs": list(table.differs),
        "quick": settings.quick,
        "seconds": time.monotonic() - begun,
    }

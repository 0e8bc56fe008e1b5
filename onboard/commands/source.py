"""Source: the lines that `stream` reads, from a file, a pipe or stdin."""

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

from onboard.commands.rawinput import RawForm
from onboard.commands.stop import Stop
from onboard.errors import InputError, UsageError, reading
from onboard.image.bayer import CELL, cell_of, split
from onboard.image.files import Image
from onboard.image.lines import LineSource


def open_strips(
    arguments: argparse.Namespace,
    form: RawForm,
    tile: int,
    skip: int,
    stop: Stop,
    files: ExitStack,
) -> Iterator[Image]:
    """Return the strips of the input.

    Args:
        arguments: arguments of the command line.
        form: what the samples are.
        tile: rows of a strip; of a Bayer mosaic, of its planes.
        skip: first line of the scene that is wanted, likewise.
        stop: what may end the input early.
        files: stack that closes what is opened.

    Raises:
        InputError: the input cannot be read, or is not whole lines.
        UsageError: it begins after the line that is wanted.
    """
    cell = cell_of(arguments.bayer)
    if cell * skip < arguments.first_line:
        raise UsageError(
            f"--first-line: the input begins at line {arguments.first_line}, but line "
            f"{cell * skip} is next"
        )
    if arguments.bayer:
        return split_strips(_open(arguments, form, CELL * tile, CELL * skip, stop, files))
    return _open(arguments, form, tile, skip, stop, files)


def split_strips(strips: Iterator[Image]) -> Iterator[Image]:
    """Yield the planes of strips of a Bayer mosaic.

    Raises:
        InputError: the last has an odd number of lines; all whole cells were yielded before.
    """
    for lines in strips:
        whole = lines.shape[1] - lines.shape[1] % CELL
        if whole:
            yield split(lines[:, :whole])
        if whole < lines.shape[1]:
            raise InputError("lines: expected an even number of a Bayer mosaic, found one more")


def _open(
    arguments: argparse.Namespace,
    form: RawForm,
    tile: int,
    skip: int,
    stop: Stop,
    files: ExitStack,
) -> Iterator[Image]:
    """Return the strips of the input as they lie there, from a line of the scene on."""
    path = Path(arguments.input)
    if form.rows.layout == "bsq" and not arguments.block_lines and path.is_file():
        image = form.read(path)[:, skip - arguments.first_line :]
        strips = (image[:, line : line + tile] for line in range(0, image.shape[1], tile))
        return takewhile(lambda _: not stop.asked, strips)
    source = LineSource(form.rows, arguments.block_lines)
    with reading(path):
        stream = (
            os.fdopen(0, "rb", buffering=0, closefd=False)
            if arguments.input == "-"
            else files.enter_context(path.open("rb", buffering=0))
        )
    return source.strips(stop.ends(stream), tile, skip - arguments.first_line)

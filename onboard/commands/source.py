"""Source: the lines that `stream` reads, from a file, a pipe or stdin."""

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

from onboard.commands.rawinput import RawForm
from onboard.commands.stop import Stop
from onboard.errors import UsageError, reading
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
        tile: rows of a strip.
        skip: first line of the scene that is wanted.
        stop: what may end the input early.
        files: stack that closes what is opened.

    Raises:
        InputError: the input cannot be read, or is not whole lines.
        UsageError: it begins after the line that is wanted.
    """
    if skip < arguments.first_line:
        raise UsageError(
            f"--first-line: the input begins at line {arguments.first_line}, but line {skip} is "
            "next"
        )
    path = Path(arguments.input)
    if form.layout == "bsq" and not arguments.block_lines and path.is_file():
        image = form.read(path)[:, skip - arguments.first_line :]
        strips = (image[:, line : line + tile] for line in range(0, image.shape[1], tile))
        return takewhile(lambda _: not stop.asked, strips)
    source = LineSource(
        form.layout,
        form.dtype,
        form.byte_order,
        form.bands,
        form.width,
        arguments.block_lines,
    )
    with reading(path):
        stream = (
            os.fdopen(0, "rb", buffering=0, closefd=False)
            if arguments.input == "-"
            else files.enter_context(path.open("rb", buffering=0))
        )
    if form.offset:
        stream.seek(form.offset)
    return source.strips(stop.ends(stream), tile, skip - arguments.first_line)

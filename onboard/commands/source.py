"""Source: the lines that `stream` reads, from a file, a pipe or stdin."""

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

from onboard.commands.stop import Stop
from onboard.errors import InputError, UsageError
from onboard.image.files import Image, read_raw
from onboard.image.lines import LineSource
from onboard.link.header import SceneHeader


def open_strips(
    arguments: argparse.Namespace,
    header: SceneHeader,
    tile: int,
    skip: int,
    stop: Stop,
    files: ExitStack,
) -> Iterator[Image]:
    """Return the strips of the input.

    Args:
        arguments: arguments of the command line.
        header: header of the scene, which tells bands and width.
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
    if arguments.layout == "bsq" and not arguments.block_lines and path.is_file():
        form = (arguments.layout, arguments.dtype, arguments.byte_order)
        image = read_raw(path, *form, header.bands, header.width)
        image = image[:, skip - arguments.first_line :]
        strips = (image[:, line : line + tile] for line in range(0, image.shape[1], tile))
        return takewhile(lambda _: not stop.asked, strips)
    source = LineSource(
        arguments.layout,
        arguments.dtype,
        arguments.byte_order,
        header.bands,
        header.width,
        arguments.block_lines,
    )
    try:
        stream = (
            os.fdopen(0, "rb", buffering=0, closefd=False)
            if arguments.input == "-"
            else files.enter_context(path.open("rb", buffering=0))
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return source.strips(stop.ends(stream), tile, skip - arguments.first_line)

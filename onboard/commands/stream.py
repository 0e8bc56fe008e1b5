"""Command `stream`: lines as they come to space packets, in bounded memory."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, BinaryIO

from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.bundle.bands import trained_bands
from onboard.bundle.scrub import Scrub
from onboard.commands.commandline import Commands, peak_rss_mb, print_result, progress, warn
from onboard.commands.options import (
    add_coding_options,
    bundle_files,
    cuc_time,
    encode_options,
    given_profile,
    order_remark,
    region_files,
)
from onboard.commands.rate import rate_figures, rate_remarks, rate_text
from onboard.commands.rawinput import RawForm, add_raw_options, raw_words
from onboard.commands.resume import as_begun, recorded_so_far
from onboard.commands.source import open_strips
from onboard.commands.stop import Stop
from onboard.commands.watchedlines import WatchedLines
from onboard.downlink.cloud import Clouds
from onboard.downlink.recorder import Recorded, Recorder
from onboard.encoder import Encoder
from onboard.encoder.indices import open_encoder
from onboard.encoder.options import STRIPS_AT_ONCE
from onboard.encoder.outcome import Outcome
from onboard.errors import UsageError
from onboard.image.bayer import PLANES, cell_of
from onboard.image.files import DTYPES
from onboard.image.tiles import TileGrid
from onboard.link.framing import Strip
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from onboard.link.segment import Head, Kind
from onboard.outputs import open_output, refuse_overwriting, telling_room


def add_stream_command(commands: Commands) -> None:
    """Add `stream`."""
    stream = commands.add_parser(
        "stream",
        help="encode lines as they come, to space packets",
        epilog="example: camera | python -m onboard stream --input - --layout bil --width 2048 "
        "--bundle skybook --ratio 20 -o pass.pkt. SIGTERM or SIGINT ends the input where it "
        "is: what is held is coded and written, then the end; exit code 0 as at any end",
    )
    stream.add_argument(
        "--input", required=True, help="raw file, pipe or shared memory; - is stdin"
    )
    add_coding_options(stream)
    add_raw_options(stream)
    stream.add_argument(
        "--block-lines",
        type=int,
        default=0,
        help="layout bsq from a pipe: lines that come band after band before the next ones",
    )
    stream.add_argument("--lines", type=int, default=0, help="take no more; needed for --bytes")
    stream.add_argument("--first-line", type=int, default=0, help="of the input (default 0)")
    stream.add_argument("--resume", action="store_true", help="go on where the output stops")
    stream.add_argument(
        "--strips-at-once",
        type=int,
        default=STRIPS_AT_ONCE,
        help=f"rows of tiles coded together: speed for latency (default {STRIPS_AT_ONCE}; of "
        "tiles of 128 pixels half as many; of more than 16 bands as many times fewer as there are "
        "groups of 16)",
    )
    stream.add_argument(
        "--scrub-rows",
        type=int,
        help="rows of tiles between checks of the model's memory (default: those coded together)",
    )
    stream.add_argument(
        "--priority-out", type=Path, help="cloud fraction of each tile, a byte each, not downlinked"
    )
    stream.set_defaults(run=_stream)


def _stream(arguments: argparse.Namespace) -> int:
    bundle, form = _read_form(arguments)
    header = _header(arguments, form)
    asked = encode_options(arguments, "strip", True, header)
    asked = replace(asked, strips_at_once=arguments.strips_at_once)
    profile = given_profile(arguments)
    header, along_trellis = as_begun(header, arguments, bundle, profile)
    engine = arguments.engine, arguments.threads
    encoder, options = open_encoder(bundle, header, asked, along_trellis, *engine, profile)
    bundle, scrub = encoder.bundle, Scrub(encoder.bundle, encoder.coder)
    warn(Path(arguments.input), [*form.remarks, *order_remark(bundle, header.band_ids)])
    grid = TileGrid(header.width, 1, bundle.tile, bundle.codec.groups)
    recorded, options = recorded_so_far(arguments, options, grid.columns)
    begun = time.perf_counter()
    with ExitStack() as files:
        show = files.enter_context(progress("waiting for lines"))
        lines = _lines(arguments, form, grid, _clouds(header, bundle), recorded, files)
        done = encoder.progress(header, options, recorded.rows, recorded.segments, recorded.before)
        outcomes = [Outcome()]
        strips = encoder.stream(lines, header, options, done, outcomes.append)
        together = options.together(grid.groups, grid.tile)
        recorder = _recorder(arguments, recorded, options.packets, scrub, together, files)
        waits = _record(strips, lines, recorder, show)
    result = _result(encoder, lines, recorder, waits, time.perf_counter() - begun)
    count = recorded.rows * grid.tile + lines.count
    raw = count * header.bands * header.width * DTYPES[header.sample_type].itemsize
    figures = rate_figures(
        arguments, options, reduce(add, outcomes), raw, recorder.bytes, header.peak
    )
    warn(arguments.output, rate_remarks(figures, options))
    result |= {"engine": encoder.engine_of(options), **figures}
    result |= {"bands": form.rows.bands, "columns": form.rows.width, "bayer": header.bayer}
    print_result(result, _text(result, arguments.output), arguments.json)
    if lines.error:
        raise lines.error
    return 0


def _read_form(arguments: argparse.Namespace) -> tuple[Bundle, RawForm]:
    """Return the bundle and how the input lies; refuse to write over anything that is read."""
    outputs = {
        "-o": arguments.output,
        "--priority-out": arguments.priority_out,
        "--json": arguments.json,
    }
    named = *region_files(arguments), *bundle_files(arguments.bundle)
    inputs = [arguments.input, arguments.profile, *named]
    refuse_overwriting(outputs, inputs)
    bundle, path = bundles.load(arguments.bundle), Path(arguments.input)
    form = RawForm.of(arguments, path if path.is_file() else None, bundle.bands)
    refuse_overwriting(outputs, form.files)
    return bundle, form


def _clouds(header: SceneHeader, bundle: Bundle) -> Clouds:
    """Return what finds the cloud fractions of a scene."""
    names = () if header.bayer else header.band_ids or trained_bands(bundle)
    calibration = next(iter(header.facts.calibration), None)
    return Clouds(bundle.tile, names, calibration, header.nodata, bundle.codec.groups)


def _lines(
    arguments: argparse.Namespace,
    form: RawForm,
    grid: TileGrid,
    clouds: Clouds,
    recorded: Recorded,
    files: ExitStack,
) -> WatchedLines:
    """Open the input, to be read from where the recording ends."""
    skip, cell = recorded.rows * grid.tile, cell_of(arguments.bayer)
    stop = Stop()
    return WatchedLines(
        arguments.input,
        open_strips(arguments, form, grid.tile, skip, stop, files),
        arguments.lines // cell - skip if arguments.lines else None,
        _priority(arguments.priority_out, recorded.rows * grid.columns, files),
        clouds,
        files.enter_context(stop),
        cell,
    )


def _record(
    strips: Iterable[Strip], lines: WatchedLines, recorder: Recorder, show: Callable[[str], None]
) -> list[float]:
    """Record strips as they come; return the seconds that each waited since its last line."""
    waits = []
    for strip in strips:
        if lines.error and _is_end(strip):
            break  # so that no receiver takes the scene for complete
        recorder.record(strip)
        show(f"line {strip.line}: {recorder.packets} packets, {recorder.bytes} bytes")
        if lines.arrived:
            waits.append(time.perf_counter() - lines.arrived.popleft())
    recorder.flush()
    return waits


def _is_end(strip: Strip) -> bool:
    """Return whether a strip is the end of its scene."""
    return Head.read(strip.segments[0], 0).kind == Kind.END


def _header(arguments: argparse.Namespace, form: RawForm) -> SceneHeader:
    """Return the header of the scene; its height is 0 unless `--lines` says it."""
    if arguments.lines < 0 or arguments.first_line < 0:
        raise UsageError("stream: expected --lines and --first-line of 0 or more")
    cell = cell_of(arguments.bayer)
    if arguments.lines % cell or arguments.first_line % cell or form.rows.width % cell:
        raise UsageError("--bayer: expected --lines, --first-line and --width that are even")
    if arguments.bayer and form.rows.bands != 1:
        raise UsageError(f"--bayer: expected one band, found {form.rows.bands}")
    words = raw_words(arguments, form.rows.bands, form)
    bits = arguments.significant_bits
    return SceneHeader(
        form.rows.dtype,
        form.significant_bits if bits is None else bits,
        PLANES if arguments.bayer else form.rows.bands,
        form.rows.width // cell,
        arguments.lines // cell if arguments.bytes is not None else 0,
        start_time=cuc_time(arguments.start_time),
        **words,
    )


def _priority(path: Path | None, tiles: int, files: ExitStack) -> BinaryIO | None:
    """Open the file of cloud fractions, which has `tiles` of them already."""
    if path is None:
        return None
    if not tiles:
        return files.enter_context(open_output(path))
    known = path.read_bytes()[:tiles] if path.exists() else b""
    file = files.enter_context(open_output(path))
    file.write(known.ljust(tiles, b"\0"))
    return file


def _recorder(
    arguments: argparse.Namespace,
    recorded: Recorded,
    packets: PacketOptions | None,
    scrub: Scrub,
    together: int,
    files: ExitStack,
) -> Recorder:
    """Open the output, a new one or to go on with."""
    rows = together if arguments.scrub_rows is None else arguments.scrub_rows
    if rows < 1:
        raise UsageError(f"--scrub-rows: expected 1 or more, found {rows}")
    files.enter_context(telling_room(arguments.output))
    if str(arguments.output) == "-":
        return Recorder(sys.stdout.buffer, packets, scrub, rows)
    if not recorded.length:
        output = files.enter_context(open_output(arguments.output))
        return Recorder(output, packets, scrub, rows)
    output = files.enter_context(arguments.output.open("r+b"))
    return Recorder.resume(output, recorded, packets, scrub, rows)


def _result(
    encoder: Encoder, lines: WatchedLines, recorder: Recorder, waits: list[float], seconds: float
) -> dict[str, Any]:
    return {
        "bundle": encoder.bundle.name,
        "run": recorder.run,
        "lines": lines.cell * lines.count,
        "bytes": recorder.bytes,
        "packets": recorder.packets,
        "seconds": seconds,
        "latency_median_s": statistics.median(waits) if waits else 0.0,
        "latency_max_s": max(waits, default=0.0),
        "peak_rss_mb": peak_rss_mb(),
    }


def _text(result: dict[str, Any], output: Path) -> str:
    steps = f"{rate_text(result)}; " if rate_text(result) else ""
    return (
        f"{output}: run {result['run']}, {result['lines']} lines of {result['bands']} bands x "
        f"{result['columns']} columns, {result['packets']} packets, {result['bytes']} bytes; "
        f"{steps}"
        f"from a strip's last line to its last packet {result['latency_median_s']:.2f} s "
        f"(at most {result['latency_max_s']:.2f} s); {result['engine']}, "
        f"peak RSS {result['peak_rss_mb']:.0f} MB"
    )

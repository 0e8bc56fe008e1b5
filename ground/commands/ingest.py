"""Command `ingest`: frames as receivers leave or send them to a recording of packets."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ground.commands.receive import appended, check_idle
from ground.station.frames import FrameForm
from ground.station.intake import Intake, Station
from ground.station.live import Address, Receivers
from ground.station.recording import open_recording
from onboard.commands.commandline import Commands, add_json_option, print_result, progress
from onboard.commands.stop import Stop
from onboard.errors import StreamError, UsageError
from onboard.outputs import open_whole, refuse_overwriting

PACKETS = "packets"
_EXAMPLES = """\
examples:
  python -m ground ingest pass.cadu --frames tm --frame-bytes 1115 --crc -o pass.pkt
  python -m ground ingest zmq://127.0.0.1:5555 udp://0.0.0.0:4560 --frames packets -o pass.pkt"""


def add_ingest_command(commands: Commands) -> None:
    """Add `ingest`."""
    ingest = commands.add_parser(
        "ingest",
        help="take the packets out of TM or AOS transfer frames, of files or live",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ingest.add_argument(
        "input",
        nargs="+",
        help="frames, with sync marks or back to back, or in KISS frames: files in the order of "
        "time; or live, until SIGTERM or Ctrl-C: udp://HOST:PORT (listens there), "
        "zmq://HOST:PORT (of a ZeroMQ PUB socket), each a station of its own",
    )
    ingest.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="recording to write; with a live input it is appended to",
    )
    add_frame_options(ingest, required=True)
    ingest.add_argument("--idle", type=float, help="live: stop after so many seconds of silence")
    add_json_option(ingest)
    ingest.set_defaults(run=_ingest)


def add_frame_options(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add what says what frames are like."""
    parser.add_argument(
        "--frames",
        choices=("tm", "aos", PACKETS),
        required=required,
        default=PACKETS,
        help="CCSDS 132.0-B or 732.0-B, or bare packets",
    )
    parser.add_argument(
        "--frame-bytes", type=int, help="of a frame, sync mark and check symbols left out"
    )
    parser.add_argument("--crc", action="store_true", help="frames end in a CRC of 16 bits (FECF)")
    parser.add_argument(
        "--randomised", action="store_true", help="frames are still pseudo-randomised (131.0-B)"
    )
    parser.add_argument(
        "--ocf", action="store_true", help="AOS: frames have an operational control field"
    )
    parser.add_argument(
        "--header-crc", action="store_true", help="AOS: the header has an error control field"
    )
    parser.add_argument("--insert-bytes", type=int, default=0, help="AOS: of the insert zone (0)")
    parser.add_argument("--spacecraft", type=int, help="this spacecraft id alone")
    parser.add_argument("--channel", type=int, help="this virtual channel alone")


def frame_form(arguments: argparse.Namespace) -> FrameForm | None:
    """Return what frames are like; None for bare packets.

    Raises:
        UsageError: it makes no sense.
    """
    given = arguments.frame_bytes
    if arguments.frames == PACKETS:
        if given is not None:
            raise UsageError("--frame-bytes: expected --frames tm or aos, too")
        return None
    if given is None:
        raise UsageError(f"--frames {arguments.frames}: expected --frame-bytes, too")
    return FrameForm(
        arguments.frames,
        given,
        arguments.crc,
        arguments.ocf,
        arguments.header_crc,
        arguments.insert_bytes,
        arguments.randomised,
    )


def _ingest(arguments: argparse.Namespace) -> int:
    check_idle(arguments.idle)
    inputs = [(text, Address.parse(text)) for text in arguments.input]
    paths = [Path(text) for text, address in inputs if address is None]
    addresses = [address for _, address in inputs if address is not None]
    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, paths)
    names = [*(["files"] if paths else []), *map(str, addresses)]
    intake = Intake.of(names, frame_form(arguments), arguments.spacecraft, arguments.channel)
    written = 0
    recordings = [open_recording(path) for path in paths]
    with appended(arguments.output) if addresses else open_whole(arguments.output) as file:
        for recording in recordings:
            for packet in intake.stations[0].read(recording):
                written += file.write(packet)
        if addresses:
            written += _listen(arguments, addresses, intake, file)
        elif not intake.stations[0].packets:
            raise StreamError(f"ingest: no whole packet in {arguments.frames}: {_found(intake)}")
    return _report(arguments, intake, written)


def _listen(
    arguments: argparse.Namespace,
    addresses: Sequence[Address],
    intake: Intake,
    file: BinaryIO,
) -> int:
    """Take what comes of live stations; what no other had before is written at once.

    Returns:
        Bytes that were written.
    """
    written = 0
    first = len(intake.stations) - len(addresses)
    with Stop() as stop, Receivers(addresses) as receivers, progress("waiting for frames") as show:
        for message in receivers.messages(lambda: stop.asked, arguments.idle):
            if new := intake.take(first + message.station, message.content):
                written += file.write(new)
                file.flush()
            show(f"{sum(station.new for station in intake.stations)} packets")
    for number, count in receivers.dropped.items():
        intake.stations[first + number].dropped = count
    return written


def _found(intake: Intake) -> str:
    """Return what there was, in words."""
    frames = intake.stations[0].frames
    counts = {} if frames is None else frames.counts
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing"


def _report(arguments: argparse.Namespace, intake: Intake, written: int) -> int:
    """Print what came of each station and of all; return the exit code."""
    told = [station.as_dict() for station in intake.stations]
    text = "\n".join([f"{arguments.output}: {written} bytes", *map(_text, intake.stations)])
    alone = told[0] if len(told) == 1 else {"stations": told}
    result = {**alone, "bytes": written, "lost_packets": intake.lost}
    print_result(result, text, arguments.json)
    harmed = any(_is_harmed(station) for station in intake.stations)
    return StreamError.exit_code if harmed and (len(told) == 1 or intake.lost) else 0


def _is_harmed(station: Station) -> bool:
    counts = {} if station.frames is None else station.frames.counts
    return bool(station.dropped or any(counts.get(w) for w in ("lost", "damaged", "cut")))


def _text(station: Station) -> str:
    """Return what came of a station in words."""
    words = [f"{station.packets} packets"]
    if (frames := station.frames) is not None:
        words = [
            f"{count} packets of spacecraft {channel.spacecraft}, channel {channel.virtual}"
            for channel, count in sorted(frames.packets.items())
        ]
        words += [f"{frames.counts['used']} frames"]
        words += [f"{frames.counts[what]} {what}" for what in ("damaged", "lost")]
        words += [f"{frames.counts['cut']} packets cut"]
    if station.messages:
        words += [f"{station.new} new", f"{station.dropped} messages dropped"]
    return f"{station.name}: {', '.join(words)}"

"""Command `ingest`: telemetry frames as a receiver leaves them to a recording of packets."""

import argparse
from pathlib import Path

from ground.station.frames import FrameForm, Packets
from ground.station.recording import open_recording
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import StreamError
from onboard.outputs import open_whole, refuse_overwriting


def add_ingest_command(commands: Commands) -> None:
    """Add `ingest`."""
    ingest = commands.add_parser(
        "ingest",
        help="take the packets out of TM or AOS transfer frames",
        epilog="example: python -m ground ingest pass.cadu --frames tm --frame-bytes 1115 --crc "
        "-o pass.pkt",
    )
    ingest.add_argument(
        "input",
        type=Path,
        nargs="+",
        help="frames, with sync marks or back to back, or in KISS frames: in the order of time",
    )
    ingest.add_argument("-o", "--output", type=Path, required=True, help="recording to write")
    ingest.add_argument(
        "--frames", choices=("tm", "aos"), required=True, help="CCSDS 132.0-B or 732.0-B"
    )
    ingest.add_argument(
        "--frame-bytes",
        type=int,
        required=True,
        help="of a frame, sync mark and check symbols left out",
    )
    ingest.add_argument("--crc", action="store_true", help="frames end in a CRC of 16 bits (FECF)")
    ingest.add_argument(
        "--randomised", action="store_true", help="frames are still pseudo-randomised (131.0-B)"
    )
    ingest.add_argument(
        "--ocf", action="store_true", help="AOS: frames have an operational control field"
    )
    ingest.add_argument(
        "--header-crc", action="store_true", help="AOS: the header has an error control field"
    )
    ingest.add_argument("--insert-bytes", type=int, default=0, help="AOS: of the insert zone (0)")
    ingest.add_argument("--spacecraft", type=int, help="this spacecraft id alone")
    ingest.add_argument("--channel", type=int, help="this virtual channel alone")
    add_json_option(ingest)
    ingest.set_defaults(run=_ingest)


def _ingest(arguments: argparse.Namespace) -> int:
    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, arguments.input)
    form = FrameForm(
        arguments.frames,
        arguments.frame_bytes,
        arguments.crc,
        arguments.ocf,
        arguments.header_crc,
        arguments.insert_bytes,
        arguments.randomised,
    )
    packets = Packets(form, arguments.spacecraft, arguments.channel)
    recordings = [open_recording(path) for path in arguments.input]
    with open_whole(arguments.output) as file:
        length = sum(
            file.write(packet) for recording in recordings for packet in packets.read(recording)
        )
        if not packets.packets:
            found = ", ".join(f"{n} {what}" for what, n in packets.counts.items() if n) or "nothing"
            raise StreamError(f"ingest: no whole packet in {arguments.frames} frames: {found}")
    counts = packets.counts
    result = {
        "bytes": length,
        "frames": {what: counts[what] for what in ("used", "idle", "repeated", "damaged", "other")},
        "lost_frames": counts["lost"],
        "cut_packets": counts["cut"],
        "bytes_between": counts["between"],
        "channels": [
            {**channel._asdict(), "packets": count}
            for channel, count in sorted(packets.packets.items())
        ],
    }
    channels = ", ".join(
        f"{count} packets of spacecraft {channel.spacecraft}, channel {channel.virtual}"
        for channel, count in sorted(packets.packets.items())
    )
    text = (
        f"{arguments.output}: {channels}; {counts['used']} frames, {counts['damaged']} damaged, "
        f"{counts['lost']} lost, {counts['cut']} packets cut"
    )
    print_result(result, text, arguments.json)
    whole = not (counts["lost"] or counts["damaged"] or counts["cut"])
    return 0 if whole else StreamError.exit_code

"""Command `protect`: repair packets against losses on the link."""

import argparse
from collections.abc import Iterator
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path

from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.downlink.protect import extend, protect
from onboard.errors import InputError, LimitError, UsageError
from onboard.link.packet import PROTECT_ROOM
from onboard.outputs import open_whole, refuse_overwriting


def add_protect_command(commands: Commands) -> None:
    """Add `protect`."""
    command = commands.add_parser(
        "protect",
        help="number packets for sending and add repair packets (erasure code)",
        epilog="example: python -m onboard protect pass.pkt -o sent.pkt --group 200 --repair 20; "
        "more on request: python -m onboard protect sent.pkt -o more.pkt --first-repair 20",
    )
    command.add_argument("input", type=Path, help="space packets of one APID (.pkt)")
    command.add_argument("-o", "--output", required=True, type=Path, help="packets to write")
    command.add_argument("--group", type=int, help="packets in a group, 1..4096 (default 200)")
    command.add_argument("--repair", type=int, default=20, help="for each group (default 20)")
    command.add_argument(
        "--first-repair",
        type=int,
        metavar="ROW",
        help="make only further repair packets, of a file that protect wrote, from this row on",
    )
    command.add_argument(
        "--groups",
        type=int,
        nargs="+",
        metavar="FIRST",
        help="with --first-repair: only for the groups that begin with these packet numbers",
    )
    command.add_argument(
        "--packet-bytes",
        type=int,
        help="refuse to make longer packets; repair packets take up to "
        f"{PROTECT_ROOM} bytes more than the longest packet (encode with --protect-room)",
    )
    add_json_option(command)
    command.set_defaults(run=_protect)


def _protect(arguments: argparse.Namespace) -> int:
    source, output = arguments.input, arguments.output
    refuse_overwriting({"-o": output, "--json": arguments.json}, [source])
    if not source.is_file() or not source.stat().st_size:
        raise InputError(f"{source}: expected a file of space packets")
    most = arguments.packet_bytes
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as recording:
        packets = _packets(arguments, recording)
        first = next(packets)
        with open_whole(output) as sent:
            count, longest = 0, 0
            for packet in chain([first], packets):
                sent.write(packet)
                if most is not None and len(packet) > most:
                    raise LimitError(
                        f"packet {count}: takes {len(packet)} bytes, --packet-bytes is {most}: "
                        f"encode with --packet-bytes {most} --protect-room"
                    )
                count, longest = count + 1, max(longest, len(packet))
    result = {
        "bytes": output.stat().st_size,
        "input_bytes": source.stat().st_size,
        "packets": count,
        "longest_packet_bytes": longest,
    }
    text = (
        f"{output}: {count} packets, {result['bytes']} bytes ({result['input_bytes']} before), "
        f"the longest packet {longest} bytes (up to {PROTECT_ROOM} more than before)"
    )
    print_result(result, text, arguments.json)
    return 0


def _packets(arguments: argparse.Namespace, recording: mmap) -> Iterator[bytes]:
    first = arguments.first_repair
    if first is None:
        if arguments.groups:
            raise UsageError("--groups: only with --first-repair")
        return protect(
            recording, 200 if arguments.group is None else arguments.group, arguments.repair
        )
    if arguments.group is not None:
        raise UsageError("--group: the groups are those of the file, with --first-repair")
    return extend(recording, range(first, first + arguments.repair), arguments.groups)

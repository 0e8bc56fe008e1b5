"""Commands `receive` and `receive-file`: packets or a file by UDP."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ground.station.delivery import Delivery
from ground.station.live import Address, Receivers
from ground.station.tally import Tally, tally_text
from ground.station.udp import listen
from onboard.commands.commandline import (
    Commands,
    add_json_option,
    print_result,
    progress,
    progress_bar,
)
from onboard.commands.stop import Stop
from onboard.errors import StreamError, UsageError
from onboard.outputs import open_output, refuse_overwriting, telling_room

if TYPE_CHECKING:
    from ground.station.cfdp import FileReceiver


def add_receive_commands(commands: Commands) -> None:
    """Add `receive` and `receive-file`."""
    _add_receive(commands)
    _add_receive_file(commands)


def _add_receive(commands: Commands) -> None:
    receiver = commands.add_parser(
        "receive",
        help="append space packets that come by UDP to a recording",
        epilog="example: python -m ground receive --port 4560 -o pass.pkt --idle 60",
    )
    _add_address(receiver, "recording to append to")
    receiver.add_argument("--idle", type=float, help="stop after so many seconds of silence")
    add_json_option(receiver)
    receiver.set_defaults(run=_receive)


def _add_receive_file(commands: Commands) -> None:
    receiver = commands.add_parser(
        "receive-file",
        help="receive one file by CFDP class 2 over UDP, asking for what is lost",
        epilog="example: python -m ground receive-file --port 4561 -o pass.pkt --seconds 600",
    )
    _add_address(receiver, "file to write")
    receiver.add_argument("--entity", type=int, default=2, help="CFDP entity id of this side (2)")
    receiver.add_argument("--sender", type=int, default=1, help="entity id of the sender (1)")
    receiver.add_argument("--repeat", type=float, default=5.0, help="seconds to a repetition (5)")
    receiver.add_argument("--seconds", type=float, default=600.0, help="when to give up (600)")
    add_json_option(receiver)
    receiver.set_defaults(run=_receive_file)


def _add_address(parser: argparse.ArgumentParser, output: str) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, required=True, help="UDP port")
    parser.add_argument("-o", "--output", type=Path, required=True, help=output)


def _receive(arguments: argparse.Namespace) -> int:
    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, ())
    check_idle(arguments.idle)
    address = Address("udp", arguments.host, arguments.port)
    tally = Tally()
    with (
        appended(arguments.output) as recording,
        Stop() as stop,
        Receivers([address]) as receivers,
        progress("waiting for packets") as show,
    ):
        for message in receivers.messages(lambda: stop.asked, arguments.idle):
            recording.write(message.content)
            recording.flush()
            tally.add(message.content)
            lost = sum(counts.lost for counts in tally.apids.values())
            show(f"{tally.packets} packets, {tally.bytes} bytes, {lost} packets lost")
    tally.count()
    dropped = receivers.dropped[0]
    text = tally_text(arguments.output, tally) + f"\ndropped: {dropped} datagrams" * bool(dropped)
    print_result({**tally.as_dict(), "dropped": dropped}, text, arguments.json)
    return 0


def check_idle(seconds: float | None) -> None:
    """Refuse a time of silence that is none."""
    if seconds is not None and not 0 < seconds < 1e6:
        raise UsageError(f"--idle: expected 0..1e6 seconds, found {seconds}")


@contextmanager
def appended(path: Path) -> Iterator[BinaryIO]:
    """Open a recording that grows."""
    try:
        file = path.open("ab")
    except OSError as error:
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error
    with telling_room(path), file:
        yield file


def _receive_file(arguments: argparse.Namespace) -> int:
    from ground.station.cfdp import Entities, receive_file  # noqa: PLC0415 (CFDP is loaded only here)

    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, ())
    if not 0 < arguments.seconds < 1e6:
        raise UsageError(f"--seconds: expected 0..1e6, found {arguments.seconds}")
    entities = Entities(arguments.entity, arguments.sender, arguments.repeat)
    opened = appended if Delivery.read(arguments.output) else open_output
    with opened(arguments.output):
        pass  # better refused now than when the file has come
    with (
        telling_room(arguments.output),
        listen(arguments.host, arguments.port) as listener,
        progress_bar("receiving") as report,
    ):
        receiver = receive_file(
            listener,
            arguments.output,
            entities,
            arguments.seconds,
            lambda length: report(length, None),
        )
    length = arguments.output.stat().st_size
    result = {
        "complete": receiver.complete,
        "closed": receiver.closed,
        "bytes": length,
        "transaction": receiver.transaction and receiver.transaction.number,
        "others": sorted(other.number for other in receiver.others),
    }
    print_result(result, _file_text(arguments.output, length, receiver), arguments.json)
    return 0 if receiver.complete else StreamError.exit_code


def _file_text(output: Path, length: int, receiver: "FileReceiver") -> str:
    state = "whole" if receiver.complete else "with gaps, or cut short"
    lines = [f"{output}: {length} bytes, {state}"]
    if receiver.transaction is not None and not receiver.closed:
        what = "the sender may not know" if receiver.complete else "how far it came is kept"
        lines.append(f"{what}: run this again at the next pass")
    if receiver.others:
        numbers = ", ".join(str(number) for number in sorted(o.number for o in receiver.others))
        own = receiver.transaction and receiver.transaction.number
        lines.append(
            f"passed over, as this is transaction {own}: {numbers}; they need another -o, or "
            f"{output}.cfdp removed"
        )
    return "\n".join(lines)

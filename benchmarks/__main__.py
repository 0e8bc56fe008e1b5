"""Command line of the benchmarks: demo, rd, ablation, resources, link, stream, upsets, fuzz,
energy, probe, roofline, board-report."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.ablation import ablation_text, run_ablation
from benchmarks.demo import default_names, run_demo
from benchmarks.energycommand import add_energy
from benchmarks.fuzz import CORPUS, fuzz, fuzz_text
from benchmarks.fuzztargets import PARSERS
from benchmarks.hardwarecommand import add_board_report, add_resources
from benchmarks.link import BUNDLE, FULL, QUICK, describe_pass, measure_link
from benchmarks.linkheaders import measure_headers
from benchmarks.linkreport import headers_text, link_text, pass_text, plot_link
from benchmarks.plots import write_plots
from benchmarks.ratedistortion import rate_distortion
from benchmarks.report import summary_table
from benchmarks.resources import QUICK_RUNS, RUNS
from benchmarks.rooflinecommand import add_probe, add_roofline
from benchmarks.scenes import benchmark_scenes
from benchmarks.streaming import (
    PASS_LINES,
    QUICK_LINES,
    WIDTH,
    measure_streaming,
    plot_streaming,
    streaming_text,
)
from benchmarks.upsets import measure_upsets, upsets_text
from onboard.commands.commandline import (
    Commands,
    add_json_option,
    command_parser,
    print_result,
    run_command,
)


def _demo(arguments: argparse.Namespace) -> int:
    result = run_demo(arguments.output, arguments.bundle or default_names())
    if arguments.json:
        print_result(result, "", arguments.json)
    print(f"\nPictures: {arguments.output}/*.png (original, decoded, error, mask)")
    return 0


def _rd(arguments: argparse.Namespace) -> int:
    console = Console(stderr=True)
    with console.status("starting") as status:
        document = rate_distortion(
            arguments.bundle or default_names(),
            lambda bands: benchmark_scenes(arguments.data, bands),
            lambda bundle, scene: status.update(f"{bundle}: {scene}"),
        )
    print_result(document, summary_table(document), arguments.json)
    if arguments.plots:
        write_plots(document, arguments.plots)
    return 0


def _ablation(arguments: argparse.Namespace) -> int:
    with Console(stderr=True).status("starting") as status:
        found = run_ablation(
            BUNDLE,
            lambda bands: benchmark_scenes(arguments.data, bands),
            arguments.train,
            status.update,
        )
    print_result(found, ablation_text(found), arguments.json)
    return 0


def _link(arguments: argparse.Namespace) -> int:
    if arguments.headers:
        shares = measure_headers(arguments.bundle)
        print_result(shares, headers_text(shares), arguments.json)
        return 0
    if arguments.only is not None:
        one = describe_pass(arguments.bundle, arguments.only)
        print_result(one, pass_text(one), arguments.json)
        return int(one["wrong"] > 0)
    scale = QUICK if arguments.quick else FULL
    if arguments.passes is not None:
        scale = replace(scale, passes=arguments.passes)
    with Console(stderr=True).status("starting") as status:
        found = measure_link(arguments.bundle, scale, arguments.repair, status.update)
    print_result(found, link_text(found), arguments.json)
    if arguments.plot:
        plot_link(found, arguments.plot)
    return int(found["wrong_pixels_outside_mask"] > 0)


def _stream(arguments: argparse.Namespace) -> int:
    lines = QUICK_LINES if arguments.quick else arguments.lines
    runs = QUICK_RUNS if arguments.quick else arguments.runs
    with Console(stderr=True).status("starting") as status:
        found = measure_streaming(
            arguments.bundle,
            lines,
            arguments.width,
            runs,
            lambda done: status.update(f"line {done} of {lines}"),
        )
    print_result(found, streaming_text(found), arguments.json)
    if arguments.plot:
        plot_streaming(found, arguments.plot)
    return 0


def _upsets(arguments: argparse.Namespace) -> int:
    with Console(stderr=True).status("starting") as status:
        found = measure_upsets(arguments.bundle, arguments.flips, arguments.seed, status.update)
    print_result(found, upsets_text(found), arguments.json)
    return int(found["found_in_memory"] < found["flips"])


def _fuzz(arguments: argparse.Namespace) -> int:
    seconds = None if arguments.executions is not None else 60 * arguments.minutes
    names = list(dict.fromkeys(arguments.parser or PARSERS))
    with Console(stderr=True).status("starting") as status:
        found = fuzz(
            names,
            arguments.corpus,
            arguments.output,
            arguments.executions,
            seconds,
            lambda name, executions: status.update(f"{name}: {executions}"),
        )
    print_result(found, fuzz_text(found, arguments.output), arguments.json)
    return 1 if found["crashes"] or found["hangs"] else 0


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("benchmarks", __doc__)
    demo = commands.add_parser(
        "demo",
        help="a real scene through all commands",
        epilog="example: python -m benchmarks demo --output demo",
    )
    demo.add_argument("--output", type=Path, default=Path("demo"), help="folder for what is made")
    rd = commands.add_parser(
        "rd",
        help="rate and distortion against JPEG 2000 and HTJ2K",
        epilog="example: python -m benchmarks rd --data FOLDER --json rd.json",
    )
    rd.add_argument("--data", type=Path, help="folder of GeoTIFFs; the spyndex scene is always in")
    rd.add_argument("--plots", type=Path, metavar="DIR", help="folder for plots (PNG)")
    for command, run in ((demo, _demo), (rd, _rd)):
        command.add_argument("--bundle", action="append", help="name or path; may be repeated")
        add_json_option(command)
        command.set_defaults(run=run)
    _add_ablation(commands)
    add_resources(commands)
    add_board_report(commands)
    _add_stream(commands)
    _add_upsets(commands)
    _add_fuzz(commands)
    _add_link(commands)
    add_energy(commands)
    add_probe(commands)
    add_roofline(commands)
    return parser


def _add_ablation(commands: Commands) -> None:
    ablation = commands.add_parser(
        "ablation",
        help="what each part of the flagship codec is worth",
        description="Changes one part at a time, fits the tables again, and measures real streams.",
        epilog="example: python -m benchmarks ablation --data FOLDER --train OTHER_FOLDER",
    )
    ablation.add_argument("--data", type=Path, help="GeoTIFFs; the spyndex scene is always in")
    training = "GeoTIFFs that tables are fitted to; default: procedural, a quarter of spyndex"
    ablation.add_argument("--train", type=Path, metavar="DIR", help=training)
    add_json_option(ablation)
    ablation.set_defaults(run=_ablation)


def _add_link(commands: Commands) -> None:
    link = commands.add_parser(
        "link",
        help="lost packets and bit errors: wrong pixels, masks, JPEG 2000 beside it",
        description="Exit code 1 if a pixel that the mask calls complete is wrong.",
        epilog="example: python -m benchmarks link --quick --plot link.png --json link.json",
    )
    link.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    count = link.add_mutually_exclusive_group()
    count.add_argument("--passes", type=int, metavar="N", help=f"default: {FULL.passes}")
    quick = f"{QUICK.passes} passes and a smaller comparison"
    count.add_argument("--quick", action="store_true", help=quick)
    count.add_argument("--pass", dest="only", type=int, metavar="I", help="show one pass alone")
    count.add_argument("--headers", action="store_true", help="what part of the bytes are headers")
    repair = "compare with repair packets too, for this share of the packets"
    link.add_argument("--repair", type=float, metavar="SHARE", help=repair)
    link.add_argument("--plot", type=Path, metavar="FILE", help="plot of the comparison (PNG)")
    add_json_option(link)
    link.set_defaults(run=_link)


def _add_stream(commands: Commands) -> None:
    stream = commands.add_parser(
        "stream",
        help="memory and speed of an endless line source",
        epilog="example: python -m benchmarks stream --plot memory.png --json stream.json",
    )
    stream.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    stream.add_argument("--lines", type=int, default=PASS_LINES, help="default: %(default)s")
    stream.add_argument("--width", type=int, default=WIDTH, help="default: %(default)s")
    stream.add_argument("--quick", action="store_true", help=f"{QUICK_LINES} lines, fewer runs")
    stream.add_argument(
        "--runs", type=int, default=RUNS, help="of the timing, default: %(default)s"
    )
    stream.add_argument("--plot", type=Path, metavar="FILE", help="memory against lines (PNG)")
    add_json_option(stream)
    stream.set_defaults(run=_stream)


def _add_upsets(commands: Commands) -> None:
    upsets = commands.add_parser(
        "upsets",
        help="flipped bits of a model in memory, and how many are found",
        description="Exit code 1 if a bit flipped in the bundle's bytes or arrays is missed.",
        epilog="example: python -m benchmarks upsets --flips 1000 --json upsets.json",
    )
    upsets.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    upsets.add_argument("--flips", type=int, default=1_000, help="default: %(default)s")
    upsets.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    add_json_option(upsets)
    upsets.set_defaults(run=_upsets)


def _add_fuzz(commands: Commands) -> None:
    parser = commands.add_parser(
        "fuzz",
        help="damaged and hostile input for every parser, guided by coverage",
        epilog="example: python -m benchmarks fuzz --minutes 10 --json fuzz.json",
    )
    parser.add_argument("--parser", action="append", choices=PARSERS, help="may be repeated")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=1.0, help="for each parser, default 1")
    length.add_argument("--executions", type=int, help="of each parser, instead")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of seeds, by parser")
    parser.add_argument(
        "--output", type=Path, default=Path("build/fuzz"), help="folder for what is found"
    )
    add_json_option(parser)
    parser.set_defaults(run=_fuzz)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())

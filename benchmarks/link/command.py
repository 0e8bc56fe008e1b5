"""Command `link`."""

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.codecs.skybook import BUNDLE
from benchmarks.link.headers import measure_headers
from benchmarks.link.measure import FULL, QUICK, describe_pass, measure_link, open_bundle
from benchmarks.link.mixed import Pool, simulate_mixed
from benchmarks.link.report import headers_text, link_text, mixed_text, pass_text, plot_link
from onboard.commands.commandline import Commands, add_json_option, print_result


def _link(arguments: argparse.Namespace) -> int:
    if arguments.headers:
        shares = measure_headers(arguments.bundle)
        print_result(shares, headers_text(shares), arguments.json)
        return 0
    if arguments.mixed is not None:
        return _mixed(arguments)
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


def _mixed(arguments: argparse.Namespace) -> int:
    pool = Pool(*open_bundle(arguments.bundle))
    with Console(stderr=True).status("starting") as status:
        found = simulate_mixed(pool, range(arguments.mixed), status.update)
    print_result(found, mixed_text(found), arguments.json)
    wrong = ("wrong_pixels", "differing_pixels", "strange_segments")
    return int(any(found[what] > 0 for what in wrong))


def add_link(commands: Commands) -> None:
    """Add `link`."""
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
    mixed = "recordings with two to four encodings of one scene id: are pixels mixed?"
    count.add_argument("--mixed", type=int, metavar="N", help=mixed)
    count.add_argument("--headers", action="store_true", help="what part of the bytes are headers")
    repair = "compare with repair packets too, for this share of the packets"
    link.add_argument("--repair", type=float, metavar="SHARE", help=repair)
    link.add_argument("--plot", type=Path, metavar="FILE", help="plot of the comparison (PNG)")
    add_json_option(link)
    link.set_defaults(run=_link)

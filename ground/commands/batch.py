"""Command `batch`: an archive of many scenes, decoded or encoded anew on a cluster."""

import argparse
import os
from pathlib import Path
from typing import Any

from ground.batch.cluster import connected, models_of, run
from ground.batch.jobs import Plan, jobs_of, kept
from ground.batch.work import Outcome
from onboard import bundle as bundles
from onboard.commands.commandline import (
    Commands,
    add_json_option,
    print_result,
    progress_bar,
    warn,
)
from onboard.errors import StreamError, UsageError
from onboard.image.tiles import DEFAULT_MAX_PIXELS

_EXAMPLES = """\
examples:
  python -m ground batch /archive/passes /archive/products
  python -m ground batch /archive/passes /archive/products --scheduler tcp://10.0.0.2:8786
  python -m ground batch cubes.zarr streams --product .sky --ratio 20"""


def add_batch_command(commands: Commands) -> None:
    """Add `batch`."""
    batch = commands.add_parser(
        "batch",
        help="decode, or encode anew, all scenes of a folder or Zarr on many processes or machines",
        description="What is there already is not made again: a run that was interrupted goes on. "
        "Exit code 4 if a scene failed or is not complete; the others are made.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    batch.add_argument(
        "source", type=Path, help="folder of recordings (.sky, .pkt, .kiss) and Zarrs, or one"
    )
    batch.add_argument("output", type=Path, help="folder of products, outside the source")
    batch.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of dask.distributed, such as tcp://10.0.0.2:8786; its workers must have skybook and "
        "see both folders under the same paths. Default: processes on this machine",
    )
    batch.add_argument(
        "--workers", type=int, help="processes on this machine (default: one for each CPU)"
    )
    batch.add_argument(
        "--worker-memory",
        default="auto",
        metavar="BYTES",
        help="of each of them, such as 2GiB; one that takes more is ended, its scene tried again "
        "and then passed over (default: its share of this machine's)",
    )
    batch.add_argument(
        "--product",
        choices=(".tif", ".sky"),
        default=".tif",
        help="a cloud-optimised GeoTIFF, or a stream encoded anew, of GeoTIFFs, too (.tif)",
    )
    batch.add_argument("--ratio", type=float, help="with --product .sky (20.48)")
    batch.add_argument("--bundle", help="name or path; default: the known one a stream names")
    batch.add_argument(
        "--linear", action="store_true", help="leave images as the bundle alone gives them"
    )
    batch.add_argument("--max-pixels", type=int, default=DEFAULT_MAX_PIXELS)
    add_json_option(batch)
    batch.set_defaults(run=_batch)


def _batch(arguments: argparse.Namespace) -> int:
    if arguments.ratio is not None and arguments.product != ".sky":
        raise UsageError("--ratio: expected --product .sky, too")
    if arguments.scheduler is not None and arguments.workers is not None:
        raise UsageError("--workers: expected no --scheduler, which has its own")
    plan = Plan(
        arguments.output.resolve(),
        arguments.product,
        arguments.bundle and bundles.find(arguments.bundle).stem,
        arguments.linear,
        arguments.max_pixels,
        arguments.ratio,
    )
    jobs = jobs_of(arguments.source.resolve(), plan)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{plan.folder}: expected a place to write to: {error.strerror}"
        ) from error
    before = {job.name: found for job in jobs if (found := kept(job, plan)) is not None}
    waiting = [job for job in jobs if job.name not in before]
    outcomes: list[Outcome] = []
    if waiting:
        workers = arguments.workers or os.cpu_count() or 1
        with (
            connected(arguments.scheduler, workers, arguments.worker_memory) as client,
            progress_bar(f"{arguments.source}") as show,
        ):
            done = len(before)

            def report(outcome: Outcome) -> None:
                nonlocal done
                done += 1
                show(done, len(jobs))
                if outcome.reasons:
                    warn(outcome.name, outcome.reasons)

            outcomes = run(client, waiting, plan, models_of(arguments.bundle), report)
    result = _result(before, outcomes)
    print_result(result, _text(arguments.output, result), arguments.json)
    return StreamError.exit_code if result["failed"] or result["incomplete"] else 0


def _result(before: dict[str, Any], outcomes: list[Outcome]) -> dict[str, Any]:
    failed = {o.name: "; ".join(o.reasons) for o in outcomes if o.failed}
    incomplete = {o.name: "; ".join(o.reasons) for o in outcomes if o.reasons and not o.failed}
    incomplete |= {name: "; ".join(f["reasons"]) for name, f in before.items() if f["reasons"]}
    return {
        "made": sum(not o.failed for o in outcomes),
        "there_before": len(before),
        "failed": failed,
        "incomplete": incomplete,
        "processes": len({o.worker for o in outcomes if o.worker}),
        "peak_worker_bytes": max((o.peak_bytes for o in outcomes), default=0),
    }


def _text(output: Path, result: dict[str, Any]) -> str:
    return (
        f"{output}: {result['made']} made, {result['there_before']} there before, "
        f"{len(result['failed'])} failed, {len(result['incomplete'])} not complete; "
        f"{result['processes']} processes of at most {result['peak_worker_bytes'] >> 20} MiB"
    )

"""Cluster: jobs handed to the workers of dask.distributed, and what becomes of them."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from ground.batch.extra import library
from ground.batch.jobs import Job, Plan
from ground.batch.work import Outcome, work
from onboard import bundle as bundles
from onboard.errors import EngineError, UsageError

_AHEAD = 3
"""Jobs for each worker: few, so that a large archive is not all in the scheduler."""
_ENDED = "the worker ended while it was made, each time: of too little memory, or killed"
_PATIENCE_S = 10.0
_LEAN = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "250ms",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.client.scheduler-info-interval": "10s",
}
"""Of processes here: with that threshold each array is new pages of memory, and a scene takes a
third longer; the rest takes processors from the workers: nobody looks at profiles, at how late 50
ticks a second are, or at what the system does, and memory need not be looked at 10 times a second,
by each worker and for each by the process that started it."""
_KEY = "SKYBOOK_BUNDLES"
_MODELS = (".skyb", ".onnx", ".prof")
_PLUGIN = "skybook-models"


@contextmanager
def connected(address: str | None, workers: int, limit: str = "auto") -> Iterator[Any]:
    """Connect to a scheduler, or start processes on this machine.

    Args:
        address: of the scheduler; None to start workers here.
        workers: how many to start.
        limit: memory of each of them, as dask writes it (`2GiB`); one that takes more is ended.

    Raises:
        EngineError: dask.distributed is not installed, or there is no scheduler at the address.
    """
    distributed = library("distributed")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what ends is said by us
    if address is not None:
        try:
            client = distributed.Client(address, timeout=_PATIENCE_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise EngineError(f"{address}: expected a scheduler of dask: {error}") from error
        with client:
            yield client
        return
    if not 1 <= workers <= 1_024:
        raise UsageError(f"--workers: expected 1..1024, found {workers}")
    with (
        library("dask").config.set(_LEAN),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=limit,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def run(
    client: Any,
    jobs: Sequence[Job],
    plan: Plan,
    models: Mapping[str, bytes],
    report: Callable[[Outcome], None],
) -> list[Outcome]:
    """Do jobs, each once; a job whose worker dies is done by another.

    Args:
        client: from `connected`.
        jobs: what is to be done.
        plan: how.
        models: from `models_of`; each worker gets them once.
        report: function that is called with the outcome of each.

    Raises:
        EngineError: the scheduler is gone. What was made stays; run again, and the rest is made.
    """
    try:
        client.register_plugin(_plugin(models), name=_PLUGIN)
    except Exception as error:  # whatever a worker says
        raise EngineError(f"workers: expected skybook to be installed as here: {error}") from error
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    outcomes, blamed = [], []
    for job, outcome in _done(client, jobs, plan, _AHEAD * max(1, workers)):
        if outcome is None:
            blamed.append(job)  # perhaps it only waited where another one took the worker with it
            continue
        outcomes.append(outcome)
        report(outcome)
    for job, outcome in _done(client, blamed, plan, 1):
        outcomes.append(outcome or Outcome(job.name, [], [_ENDED], failed=True))
        report(outcomes[-1])
    return outcomes


def _done(
    client: Any, jobs: Sequence[Job], plan: Plan, most: int
) -> Iterator[tuple[Job, Outcome | None]]:
    """Do jobs, so many at once; yield what became of each, None where its workers died of it."""
    distributed = library("distributed")
    waiting, by_key = iter(jobs), dict[str, Job]()
    running = distributed.as_completed(with_results=True, raise_errors=False)
    together = max(1, most // _AHEAD)

    def submit(count: int) -> None:
        if some := list(islice(waiting, count)):
            futures = client.map(work, some, plan=plan, pure=False)
            by_key.update(zip((future.key for future in futures), some, strict=True))
            running.update(futures)

    submit(most)
    for future, found in running:
        job = by_key.pop(future.key)
        if future.status == "finished":
            yield job, found
        elif future.status == "error":
            error = future.exception()
            died = isinstance(error, distributed.KilledWorker)
            yield job, None if died else Outcome(job.name, [], [f"{error!r:.500}"], failed=True)
        else:
            raise EngineError(
                "scheduler: lost before all was done; what was made stays, run the command again"
            )
        if most - len(by_key) >= together:
            submit(together)


def models_of(bundle: str | None) -> dict[str, bytes]:
    """Return the files of the models that workers may lack: all that are not shipped."""
    folders = [Path(folder) for folder in os.environ.get(_KEY, "").split(os.pathsep) if folder]
    paths = [path for folder in reversed(folders) for path in sorted(folder.glob("*.*"))]
    if bundle is not None:
        path = bundles.find(bundle)
        paths += [path, path.with_suffix(".onnx")]
    return {p.name: p.read_bytes() for p in paths if p.suffix in _MODELS and p.is_file()}


def _plugin(files: Mapping[str, bytes]) -> Any:
    """Return what puts models on a worker's disk once, for all that it does."""
    base = library("distributed").WorkerPlugin

    class Models(base):  # type: ignore[misc, valid-type]
        """Models on the disk of a worker, found as those of SKYBOOK_BUNDLES are."""

        def setup(self, worker: Any) -> None:
            """Write them, where there is a skybook that finds them."""
            import ground.batch.work  # noqa: F401, PLC0415

            self.folder = Path(worker.local_directory) / _PLUGIN
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (self.folder / name).write_bytes(content)
            self.before = os.environ.get(_KEY)
            os.environ[_KEY] = os.pathsep.join(filter(None, [str(self.folder), self.before]))

        def teardown(self, worker: Any) -> None:
            """Remove them."""
            os.environ[_KEY] = self.before or ""
            shutil.rmtree(self.folder, ignore_errors=True)

    return Models()

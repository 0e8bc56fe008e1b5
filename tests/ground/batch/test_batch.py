"""Batch: an archive of many scenes on dask.distributed, whatever is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zarr

import ground
import onboard
from ground.batch import work as working
from ground.batch.cluster import connected, models_of, run
from ground.batch.jobs import Job, Plan, jobs_of, kept, record_of
from ground.batch.work import Outcome, work
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.errors import EngineError, InputError, UsageError
from tests.conftest import Run

SCENES = 5
LONGEST = 120.0


def picture(seed: int, side: int = 128) -> np.ndarray:
    return procedural(seed, side, side, nodata=False).image


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, one below a folder, one of two scenes, one cut short, and one that is none."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "below").mkdir()
    streams = [onboard.encode(picture(seed), ratio=20, scene_id=seed) for seed in range(SCENES)]
    for seed, stream in enumerate(streams):
        (folder / ("below" if seed == 0 else "") / f"s{seed}.sky").write_bytes(stream)
    (folder / "two.sky").write_bytes(streams[1] + streams[2])
    (folder / "cut.sky").write_bytes(streams[3][: len(streams[3]) // 2])
    (folder / "none.sky").write_bytes(b"no stream at all")
    return folder


def linear(folder: Path, **words: object) -> Plan:
    return Plan(folder, linear=True, **words)  # type: ignore[arg-type]


def test_each_job_is_done_once_and_says_what_is_wrong(archive: Path, tmp_path: Path) -> None:
    plan = linear(tmp_path)
    jobs = jobs_of(archive, plan)
    assert [job.name for job in jobs] == [
        "below/s0", "cut", "none", *(f"s{i}" for i in range(1, SCENES)), "two",
    ]  # fmt: skip
    outcomes = {job.name: work(job, plan) for job in jobs}
    assert [name for name, outcome in outcomes.items() if outcome.failed] == ["none"]
    assert [name for name, outcome in outcomes.items() if outcome.reasons] == ["cut", "none"]
    assert "lost" in outcomes["cut"].reasons[0]
    assert outcomes["two"].made == ["two-1.tif", "two-2.tif"]
    made = geotiff.read(tmp_path / "s4.tif").image
    whole = ground.decode((archive / "s4.sky").read_bytes(), linear=True)["image"].values
    np.testing.assert_array_equal(made, whole)
    assert [job.name for job in jobs if kept(job, plan) is None] == ["none"]


def test_what_changed_is_made_again(archive: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    path = source / "s.sky"
    path.write_bytes((archive / "s1.sky").read_bytes())
    plan = linear(tmp_path / "made")
    (job,) = jobs_of(source, plan)
    assert not work(job, plan).failed
    assert kept(job, plan) is not None
    assert kept(job, Plan(plan.folder)) is None
    path.write_bytes((archive / "s2.sky").read_bytes() + b"\0")
    assert kept(job, plan) is None
    assert not work(job, plan).failed
    (plan.folder / "s.tif").unlink()
    assert kept(job, plan) is None
    record_of(job, plan).write_text("{")
    assert kept(job, plan) is None


def test_arrays_of_a_zarr_and_rasters_are_encoded_anew(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "cube.zarr", mode="w")
    for name in ("a", "deep/b"):
        group.create_array(name, data=picture(1), chunks=(4, 64, 64))
    group.create_array("float", data=np.zeros((128, 128), np.float32))
    geotiff.write(tmp_path / "r.tif", Scene(picture(2)))
    plan = Plan(tmp_path.parent / f"{tmp_path.name}-made", ".sky", ratio=10)
    jobs = jobs_of(tmp_path, plan)
    assert [job.name for job in jobs] == ["cube/a", "cube/deep/b", "r"]
    for job in jobs:
        outcome = work(job, plan)
        assert not outcome.reasons
        raw = (plan.folder / outcome.made[0]).read_bytes()
        assert len(raw) < picture(1).nbytes / 9
        error = ground.decode(raw)["image"].values.astype(float) - picture(
            2 if job.name == "r" else 1
        )
        assert np.sqrt(np.mean(error**2)) < 200
    only = jobs_of(tmp_path / "cube.zarr", plan)
    assert [job.array for job in only] == ["a", "deep/b"]


def test_what_is_no_archive_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ground.batch.cluster._PATIENCE_S", 0.3)
    with pytest.raises(InputError, match="found none"):
        jobs_of(tmp_path / "nothing", linear(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none"):
        jobs_of(tmp_path / "empty", linear(tmp_path / "made"))
    with pytest.raises(UsageError, match="outside"):
        jobs_of(archive, linear(archive / "made"))
    with (
        pytest.raises(EngineError, match="expected a scheduler"),
        connected("tcp://127.0.0.1:9", 1),
    ):
        pass


def test_what_nobody_foresaw_fails_its_scene_alone(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "open_recording", lambda _path: 1 / 0)
    outcome = work(Job("x", archive / "s1.sky"), linear(tmp_path))
    assert outcome.failed
    assert "ZeroDivisionError" in outcome.reasons[0]


def test_a_killed_worker_costs_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker is killed with its first scene done; models of our own reach the others."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "own.prof").write_bytes(b"only sent, never read")
    monkeypatch.setenv("SKYBOOK_BUNDLES", str(models))
    plan = linear(tmp_path / "made")
    killed: list[int] = []

    def report(outcome: Outcome) -> None:
        if not killed:
            killed.append(outcome.worker)
            os.kill(outcome.worker, signal.SIGKILL)

    jobs = jobs_of(archive, plan)
    with connected(None, 2) as client:
        outcomes = run(client, jobs, plan, models_of(None), report)
        sent = client.run(lambda dask_worker: sorted(
            path.read_bytes() for path in Path(dask_worker.local_directory).rglob("own.prof")
        ))  # fmt: skip
        trims = client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_")
    assert set(trims.values()) == {None}  # with dask's each array would be new pages of memory
    assert sorted(outcome.name for outcome in outcomes) == [job.name for job in jobs]
    assert [outcome.name for outcome in outcomes if outcome.failed] == ["none"]
    assert killed
    assert all(found == [b"only sent, never read"] for found in sent.values())
    assert len(list(plan.folder.rglob("*.mask.tif"))) == SCENES + 3


def test_a_run_that_is_killed_goes_on(archive: Path, tmp_path: Path, run: Run) -> None:
    """The command and the scheduler in it are killed once something is made."""
    made = tmp_path / "made"
    line = ("batch", archive, made, "--linear", "--workers", 1, "--json", tmp_path / "x.json")
    command = [sys.executable, "-m", "ground", *map(str, line)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as first:
        wait_for_records(made, 1)
        first.kill()
    done = run("ground", *line)
    assert done.returncode == 4, done.stderr
    assert "none: stream: no intact segment" in done.stderr
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["made"] + found["there_before"] == SCENES + 2
    assert found["there_before"] >= 1
    assert list(found["failed"]) == ["none"]
    assert list(found["incomplete"]) == ["cut"]


def wait_for_records(folder: Path, count: int) -> None:
    deadline = time.monotonic() + LONGEST
    while len(list(folder.glob(".batch/**/*.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start a scheduler or worker of dask."""
    what, *rest = map(str, words)
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *rest, "--no-dashboard"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_killed_scheduler_is_told_and_the_next_run_goes_on(archive: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, plan = f"tcp://127.0.0.1:{port}", linear(tmp_path)
    jobs = jobs_of(archive, plan)
    with (
        started("scheduler", "--host", "127.0.0.1", "--port", port) as scheduler,
        started("worker", address, "--nthreads", 1),
        connected(address, 0) as client,
    ):
        client.wait_for_workers(1, timeout=LONGEST)
        with pytest.raises(EngineError, match="run the command again"):
            run(client, jobs, plan, {}, lambda _outcome: scheduler.kill())
    rest = [job for job in jobs if kept(job, plan) is None]
    assert 0 < len(rest) < len(jobs)
    assert [job.name for job in rest if work(job, plan).failed] == ["none"]
    assert [job.name for job in jobs if kept(job, plan) is None] == ["none"]

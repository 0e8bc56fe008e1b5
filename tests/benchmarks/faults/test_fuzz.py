"""Fuzzing: the corpus and some thousand seeded changes of it through every parser."""

import json
import random
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.faults import command
from benchmarks.faults.fuzz import guard as guards
from benchmarks.faults.fuzz import targets as fuzztargets
from benchmarks.faults.fuzz.bounded import LANE_HEAD
from benchmarks.faults.fuzz.guard import Guard
from benchmarks.faults.fuzz.run import CORPUS, fuzz
from benchmarks.faults.fuzz.targets import PARSERS, BrokenPromiseError, Parser
from onboard.codec.tile import DEPENDENT, FULL, SIGN_HIDING
from onboard.errors import StreamError, UsageError
from onboard.link.resync import read_segments
from onboard.link.segment import Segment
from tests.conftest import Run

CHANGED = {
    "file": 1_000,
    "packet": 1_000,
    "bundle": 1_500,
    "index": 4_000,
    "entropy": 700,
    "bounded": 120,
    "components": 150,
    "profile": 2_000,
}
"""Changed inputs of each parser."""
STATE_AT = 1 + LANE_HEAD.size
"""Of the state of a tile in an input of `entropy`: behind its size and the head of a segment."""
LEAST = 0.02
"""Least share of them that must be accepted, and that must be refused."""


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def changed(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a seed with one to three changes such as a fuzzer makes."""
    packed = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(packed) + 1)
        kind = rng.randrange(6)
        if kind == 0 and place < len(packed):
            packed[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(packed):
            packed[place] = rng.choice((0, 1, 127, 128, 255))
        elif kind == 2:
            packed[place : place + 2] = rng.randrange(1 << 16).to_bytes(2, "big")
        elif kind == 3:
            packed[place:place] = rng.randbytes(rng.randint(1, 8))
        elif kind == 4:
            del packed[place : place + rng.randint(1, 8)]
        else:
            other = rng.choice(seeds)
            packed[place:] = other[rng.randrange(len(other)) :]
    return bytes(packed)


@pytest.mark.parametrize("name", PARSERS)
def test_the_corpus_is_small_and_accepted(name: str) -> None:
    seeds = corpus(name)
    assert len(seeds) >= 2
    assert sum(map(len, seeds)) < 8_000
    assert all(PARSERS[name].run(packed) for packed in seeds)


def test_the_corpus_has_hidden_signs_in_tiles_that_are_full_and_others() -> None:
    states = {packed[STATE_AT] for packed in corpus("entropy")}
    assert {SIGN_HIDING, SIGN_HIDING | FULL, DEPENDENT | FULL} <= states


@pytest.mark.parametrize("name", PARSERS)
def test_changed_inputs_are_read_or_refused_within_the_limits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "HANG_SECONDS", 60.0)  # as long as the slowest processor needs
    parser, seeds, rng = PARSERS[name], corpus(name), random.Random(20)
    verdicts: list[bool] = []
    guard = Guard(lambda packed: verdicts.append(parser.run(packed)), parser.allocation, tmp_path)
    for packed in seeds:
        parser.run(packed)  # what is made once is not an input's
    for _ in range(CHANGED[name]):
        guard(changed(rng, seeds))
    kept = [path.read_text() for path in sorted(tmp_path.glob("*.txt"))]
    assert not kept, kept[0]
    assert LEAST < sum(verdicts) / CHANGED[name] < 1 - LEAST


def misbehave(packed: bytes) -> None:
    if packed == b"index":
        packed[99]
    elif packed == b"field":
        struct.unpack(">I", packed)
    elif packed == b"claim":
        np.empty(1 << 30, np.uint8)  # more than a process may have kept of what it freed
    elif packed == b"loop":
        while True:
            pass
    elif packed == b"refuse":
        raise StreamError("stream: expected better")


def test_what_breaks_a_limit_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "HANG_SECONDS", 0.4)
    parser = Parser(misbehave, None, 100, 1 << 24)
    guard = Guard(parser.run, parser.allocation, tmp_path)
    for packed in (b"fine", b"refuse", b"index", b"index", b"field", b"claim", b"loop", b"fine"):
        guard(packed)
    assert (guard.executions, guard.crashes, guard.hangs) == (8, 3, 1)
    assert guard.slowest_ms > 200  # timers of processor time are coarse
    kept = {p.read_bytes() for p in tmp_path.iterdir() if not p.suffix}
    assert kept == {b"index", b"field", b"claim", b"loop"}
    reasons = "".join(p.read_text() for p in tmp_path.glob("crash-*.txt"))
    assert all(name in reasons for name in ("IndexError", "struct.error", "MemoryError"))
    assert np.empty(1 << 26, np.uint8).size  # the limit is the parser's alone


def test_a_reader_that_forgets_what_it_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = corpus("file")[0]
    forgetful = [
        replace(part, scene_id=9) for part in read_segments(stream) if isinstance(part, Segment)
    ]
    monkeypatch.setattr(fuzztargets, "read_segments", lambda _stream: forgetful)
    with pytest.raises(BrokenPromiseError, match="segment"):
        PARSERS["file"].run(stream)


def test_the_command_counts_executions(run_fresh: Run, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    options = ("--executions", 300, "--output", "found", "--json")
    done = run_fresh("benchmarks", "fuzz", "--parser", "index", *options)
    assert not done.stderr
    found = json.loads(done.stdout)
    assert found["executions"] == {"index": 300}
    # On a busy machine an input may pass a limit.
    assert done.returncode == int(found["crashes"] + found["hangs"] > 0)
    assert found["slowest_ms"]["index"] > 0
    assert len(list((tmp_path / "found" / "index" / "corpus").iterdir())) > 0


def test_a_crash_ends_the_command_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    columns = ("executions", "executions_per_s", "new_inputs", "slowest_ms", "allocation_mib")
    found = {**{key: {"file": 7} for key in columns}, "crashes": 1, "hangs": 0, "machine": "here"}
    monkeypatch.setattr(command, "fuzz", lambda *_: found)
    assert main(["fuzz", "--executions", "7", "--output", str(tmp_path)]) == 1
    assert f"crashes: 1, hangs (above 1 s): 0; inputs and logs in {tmp_path}" in (
        capsys.readouterr().out
    )


def test_what_cannot_be_fuzzed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="above 0"):
        fuzz(["file"], CORPUS, tmp_path, 0, None)
    pytest.importorskip("atheris")
    with pytest.raises(UsageError, match="found none"):
        fuzz(["file"], tmp_path, tmp_path, 1, None)

"""Service: recordings that grow and live sources to products, step by step, until it is stopped."""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import OperationalError
from threading import Event, Thread
from typing import Any

from ground.serve.server import Server
from ground.station.extra import library
from ground.station.intake import Intake
from ground.station.live import Receivers
from ground.watch.framefiles import FrameFiles, Frames
from ground.watch.journal import ENDED, MOST_ATTEMPTS, Journal
from ground.watch.making import Made, Maker, RoomError
from ground.watch.monitor import Monitor
from ground.watch.records import Heard
from ground.watch.scan import SUFFIXES, Scanner, files_of
from ground.watch.spool import Spool
from onboard.errors import InputError, SkybookError, UsageError
from onboard.image.tiles import DEFAULT_MAX_PIXELS

_OWN = ".watch"
"""Folder in that of the products: journal, lock, recordings of live sources."""
_TURN, _PAUSE = 0.5, 30.0
"""Seconds between looks at folders; and where there is no room to write."""


@dataclass(frozen=True)
class Plan:
    """What is watched, and what is made of it.

    Attributes:
        folders: folders of recordings.
        output: folder of the products.
        quiet: seconds without anything new after which a scene is made of what there is.
        suffix: of products.
        linear: whether to leave images as the bundle alone gives them.
        max_pixels: most pixels that a scene may have.
        frames: what transfer frames in files are like; None where nobody told.
    """

    folders: Sequence[Path]
    output: Path
    quiet: float = 60.0
    suffix: str = ".tif"
    linear: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    frames: Frames | None = None

    @property
    def own(self) -> Path:
        """Folder of the service's own files."""
        return self.output / _OWN

    @property
    def live(self) -> Path:
        """Folder of the recordings of live sources."""
        return self.own / "live"

    @property
    def ingested(self) -> Path:
        """Folder of the recordings of frame files."""
        return self.own / "frames"


class Service:
    """Reads what is new, and makes what is due, one scene at a time."""

    def __init__(self, plan: Plan, monitor: Monitor) -> None:
        """Open the journal, or begin one.

        Raises:
            UsageError: there is no place for products.
            InputError: a folder is none, or the journal is damaged.
        """
        for folder in plan.folders:
            if not folder.is_dir():
                raise InputError(f"{folder}: expected a folder of recordings")
        try:
            for folder in (plan.live, plan.ingested):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{plan.output}: expected a place to write to: {error}") from error
        self._watched = [*map(Path.absolute, plan.folders)]
        self._own = [plan.live.absolute(), plan.ingested.absolute()]
        self._quiet, self.monitor = plan.quiet, monitor
        self.journal = Journal(plan.own / "journal.sqlite")
        self._maker = Maker(plan.output, plan.suffix, plan.linear, plan.max_pixels)
        self._frames = FrameFiles(plan.ingested.absolute(), plan.frames, self.journal)
        self._scanner = Scanner(self.journal, set(self._maker.models))
        self._log: Any = library("structlog").get_logger()
        self.journal.try_again()
        self.monitor.tell(self.journal.counts())

    def scan(self) -> int:
        """Read what is new of all frame files and recordings; return the new segments there are."""
        self._ingest()
        total = 0
        suffixes = set(SUFFIXES) - set(self._frames.suffixes)
        for folder in (*self._watched, *self._own):
            for path in files_of(folder, suffixes):
                try:
                    size, new = self._scanner.read(path)
                except SkybookError as error:
                    self._log.warning("refused", recording=str(path), problem=str(error))
                    continue
                self.monitor.read.inc(size)
                self.monitor.segments.inc(new)
                total += new
                if new:
                    self._log.info("read", recording=str(path), bytes=size, new_segments=new)
        if total:
            self.monitor.tell(self.journal.counts())
        return total

    def _ingest(self) -> None:
        """Read what is new of frame files to recordings.

        Raises:
            RoomError: there is no room for their packets.
        """
        for folder in self._watched:
            for path in files_of(folder, self._frames.suffixes):
                try:
                    found = self._frames.read(path)
                except InputError as error:
                    self._log.warning("refused", recording=str(path), problem=str(error))
                    continue
                if found is not None:
                    self._log.info("ingested", frames=str(path), **found)

    def make(self) -> bool:
        """Make a scene that is due; return whether there was one.

        Raises:
            RoomError: there is no room for it; it still waits.
        """
        scene = self.journal.due(time.time(), self._quiet)
        if scene is None:
            return False
        told = {"scene": scene.encoding.scene_id, "binding": scene.encoding.binding.hex()}
        log = self._log.bind(**told, segments=scene.segments, expected=scene.expected)
        if scene.attempts >= MOST_ATTEMPTS:
            self._failed(scene, log, f"{ENDED} {scene.attempts} times")
            return True
        self.journal.begin(scene)
        began = time.monotonic()
        try:
            made = self._maker.make(scene, self.journal.parts(scene))
        except RoomError:
            self.journal.leave(scene)
            raise
        except SkybookError as error:
            self._failed(scene, log, str(error))
        except (MemoryError, OSError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self._failed(scene, log, f"internal: {error!r:.300}")
        else:
            self._published(scene, log, made, time.monotonic() - began)
        self.monitor.tell(self.journal.counts())
        return True

    def _published(self, scene: Heard, log: Any, made: Made, seconds: float) -> None:
        self.journal.end(scene, made.name, made.complete)
        self.monitor.published.labels("yes" if made.complete else "no").inc()
        self.monitor.redone.inc(scene.product is not None)
        self.monitor.seconds.observe(seconds)
        self.monitor.last.set_to_current_time()
        log.info(
            "published",
            product=made.name,
            complete=made.complete,
            redone=scene.product is not None,
            seconds=round(seconds, 3),
            left_out=made.reasons,
        )

    def _failed(self, scene: Heard, log: Any, problem: str) -> None:
        self.journal.end(scene, None, False, problem)
        self.monitor.failed.inc()
        log.error("failed", problem=problem)

    def run(self, ended: Callable[[float], bool]) -> None:
        """Work until it is to end.

        Args:
            ended: function that waits for so many seconds and says whether it is to end.
        """
        self._log.info("started", folders=list(map(str, self._watched)), **self.monitor.counts)
        seconds = 0.0
        while not ended(seconds):
            self.monitor.turned = time.time()
            seconds = self._turn()
        self._log.info("stopped", **self.monitor.counts)

    def _turn(self) -> float:
        """Look at all folders, and make a scene; return for how long to wait."""
        try:
            self.scan()
            busy = self.make()
        except (RoomError, OperationalError) as error:  # such as a disk that is full
            self._log.error("waiting", problem=str(error))
            self.monitor.problem = str(error)
            return _PAUSE
        self.monitor.problem = None
        return 0.0 if busy else _TURN


@contextmanager
def alone(plan: Plan) -> Iterator[None]:
    """Keep other services away from a folder of products.

    Raises:
        UsageError: there is one, or no place to write to.
    """
    try:
        plan.own.mkdir(parents=True, exist_ok=True)
        lock = (plan.own / "lock").open("w")
    except OSError as error:
        raise UsageError(f"{plan.output}: expected a place to write to: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{plan.output}: expected no other service that writes here"
            ) from error
        yield


@contextmanager
def spooling(plan: Plan, receivers: Receivers, intake: Intake, monitor: Monitor) -> Iterator[None]:
    """Write what receivers bring to recordings, in the background."""
    ending = Event()
    spool = Spool(plan.live, receivers, intake, plan.quiet)

    monitor.of_live = lambda: spool.problem
    monitor.queue.set_function(lambda: receivers.waiting)
    for station in intake.stations:
        monitor.messages.labels(station.name).set_function(lambda one=station: one.messages)
        monitor.dropped.labels(station.name).set_function(lambda one=station: one.dropped)
    thread = Thread(target=spool.run, args=(ending.is_set,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@contextmanager
def monitored(monitor: Monitor, host: str, port: int) -> Iterator[str]:
    """Answer `/metrics` and `/health`; yield where."""
    with Server(monitor.reply, host, port) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.url
        finally:
            server.shutdown()

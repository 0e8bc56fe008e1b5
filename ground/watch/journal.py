"""Journal: what was read of recordings, what arrived of scenes, what was made of them (SQLite).

What one step finds is written in one transaction, so a step that a kill interrupts is done again
from its beginning, and one that ended is not.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ground.watch.records import Heard, Part, Reading
from onboard.errors import InputError
from onboard.link.binding import Encoding
from onboard.link.framing import HEADER_EVERY
from onboard.link.segment import Kind, Segment

VERSION = 1
MOST_ATTEMPTS = 3
"""How often making a scene may end the process before it is left alone."""
ENDED = "making it ended the service"
"""What a problem of such a scene begins with."""
_TABLES = """
CREATE TABLE recording (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE,
    inode INTEGER NOT NULL, size INTEGER NOT NULL, time INTEGER NOT NULL, done INTEGER NOT NULL
);
CREATE TABLE scene (
    id INTEGER PRIMARY KEY, scene_id INTEGER NOT NULL, binding BLOB NOT NULL,
    segments INTEGER NOT NULL DEFAULT 0, headed INTEGER NOT NULL DEFAULT 0, expected INTEGER,
    changed REAL NOT NULL, waiting INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0,
    made INTEGER NOT NULL DEFAULT 0, complete INTEGER NOT NULL DEFAULT 0,
    product TEXT, problem TEXT, UNIQUE (scene_id, binding)
);
CREATE TABLE place (
    scene INTEGER NOT NULL, kind INTEGER NOT NULL, tile INTEGER NOT NULL, layer INTEGER NOT NULL,
    first INTEGER NOT NULL, PRIMARY KEY (scene, kind, tile, layer, first)
) WITHOUT ROWID;
CREATE TABLE part (
    scene INTEGER NOT NULL, recording INTEGER NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, PRIMARY KEY (scene, recording)
) WITHOUT ROWID;
CREATE INDEX waiting_scenes ON scene (waiting, changed);
"""
_SCENE = "id, scene_id, binding, segments, headed, expected, changed, made, attempts, product"


class Journal:
    """The journal of a folder of products."""

    def __init__(self, path: Path) -> None:
        """Open it, or begin one.

        Raises:
            InputError: it is none, or damaged.
        """
        try:
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._base.executescript(
                    f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT"
                )
        except sqlite3.Error as error:
            raise InputError(f"{path}: expected a journal, found none: {error}") from error
        if version not in (0, VERSION):
            raise InputError(f"{path}: expected a journal of version {VERSION}, found {version}")

    def close(self) -> None:
        """Close it."""
        self._base.close()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Write all that is done inside, or nothing."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def reading(self, path: Path) -> Reading | None:
        """Return how far a recording was read."""
        row = self._base.execute(
            "SELECT id, inode, size, time, done FROM recording WHERE path = ?", (str(path),)
        ).fetchone()
        return None if row is None else Reading(row[0], tuple(row[1:4]), row[4])

    def set_reading(self, path: Path, stamp: tuple[int, int, int], done: int) -> int:
        """Note how far a recording was read; return its number."""
        self._base.execute(
            "INSERT INTO recording (path, inode, size, time, done) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET inode = excluded.inode, size = excluded.size, "
            "time = excluded.time, done = excluded.done",
            (str(path), *stamp, done),
        )
        reading = self.reading(path)
        assert reading is not None
        return reading.number

    def forget(self, number: int) -> None:
        """Forget where in a recording scenes are: its file is another one now."""
        self._base.execute("DELETE FROM part WHERE recording = ?", (number,))

    def bindings(self) -> set[bytes]:
        """Return the bindings of all scenes."""
        return {row[0] for row in self._base.execute("SELECT DISTINCT binding FROM scene")}

    def add(
        self,
        recording: int,
        encoding: Encoding,
        segments: Iterable[Segment],
        span: tuple[int, int],
        expected: int | None,
        now: float,
    ) -> int:
        """Note segments of a scene in a recording; return how many of them are new.

        Args:
            recording: number of the recording.
            encoding: which encoding they are of.
            segments: segments.
            span: first byte of them in the recording, and the one after the last.
            expected: segments that an end among them tells of.
            now: seconds since 1970.
        """
        base = self._base
        base.execute(
            "INSERT OR IGNORE INTO scene (scene_id, binding, changed) VALUES (?, ?, ?)",
            (*encoding, now),
        )
        (scene,) = base.execute(
            "SELECT id FROM scene WHERE scene_id = ? AND binding = ?", encoding
        ).fetchone()
        base.execute(
            "INSERT INTO part VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "start = min(start, excluded.start), stop = max(stop, excluded.stop)",
            (scene, recording, *span),
        )
        new: Counter[int] = Counter()
        for segment in segments:
            place = (scene, segment.kind, *_place(segment))
            done = base.execute("INSERT OR IGNORE INTO place VALUES (?, ?, ?, ?, ?)", place)
            new[segment.kind] += done.rowcount
        count = sum(new.values())
        if count:
            base.execute(
                "UPDATE scene SET segments = segments + ?, headed = headed OR ?, "
                "expected = coalesce(expected, ?), changed = ?, waiting = 1, attempts = 0 "
                "WHERE id = ?",
                (new[Kind.TILE] + new[Kind.MASK], new[Kind.SCENE] > 0, expected, now, scene),
            )
        if new[Kind.REPAIR]:  # their group may hold packets of other scenes
            base.execute(
                "UPDATE scene SET waiting = 1, changed = ? WHERE complete = 0 AND id IN "
                "(SELECT scene FROM part WHERE recording = ?)",
                (now, recording),
            )
        return count

    def due(self, now: float, quiet: float) -> Heard | None:
        """Return a scene that is whole, or of which nothing came for some seconds; the oldest."""
        row = self._base.execute(
            f"SELECT {_SCENE} FROM scene WHERE waiting AND "
            "((headed AND expected IS NOT NULL AND segments >= expected) OR changed <= ?) "
            "ORDER BY changed, id LIMIT 1",
            (now - quiet,),
        ).fetchone()
        return None if row is None else _heard(row)

    def parts(self, scene: Heard) -> list[Part]:
        """Return where a scene is, the recording that was read first before others."""
        rows = self._base.execute(
            "SELECT path, start, stop FROM part JOIN recording ON recording.id = part.recording "
            "WHERE scene = ? ORDER BY recording.id",
            (scene.number,),
        )
        return [Part(Path(path), start, stop) for path, start, stop in rows]

    def begin(self, scene: Heard) -> None:
        """Note that a scene is being made."""
        self._base.execute("UPDATE scene SET attempts = attempts + 1 WHERE id = ?", (scene.number,))

    def leave(self, scene: Heard) -> None:
        """Note that a scene still waits: it is not its fault that it was not made."""
        self._base.execute("UPDATE scene SET attempts = 0 WHERE id = ?", (scene.number,))

    def try_again(self) -> None:
        """Let scenes wait again of which nothing could be made, unless they ended the service."""
        self._base.execute(
            "UPDATE scene SET waiting = 1 WHERE problem IS NOT NULL AND problem NOT LIKE ?",
            (f"{ENDED}%",),
        )

    def end(
        self, scene: Heard, product: str | None, complete: bool, problem: str | None = None
    ) -> None:
        """Note what was made of a scene, or why nothing was; what came meanwhile still waits.

        Args:
            scene: scene as it was when its making began.
            product: name of the product; None leaves what there is.
            complete: whether all of it arrived.
            problem: why there is no new product.
        """
        self._base.execute(
            "UPDATE scene SET waiting = changed > ?, attempts = 0, problem = ?, "
            "made = CASE WHEN ? IS NULL THEN made ELSE ? END, "
            "complete = CASE WHEN ? IS NULL THEN complete ELSE ? END, "
            "product = coalesce(?, product) WHERE id = ?",
            (
                scene.changed,
                problem,
                product,
                scene.segments,
                product,
                complete,
                product,
                scene.number,
            ),
        )

    def counts(self) -> dict[str, int]:
        """Return how many scenes wait, have a product, are complete, failed, and there are."""
        row = self._base.execute(
            "SELECT total(waiting), count(product), total(complete), count(problem), count(*) "
            "FROM scene"
        ).fetchone()
        names = ("waiting", "published", "complete", "failed", "heard")
        return dict(zip(names, map(int, row), strict=True))

    def scenes(self) -> list[Heard]:
        """Return all scenes."""
        rows = self._base.execute(f"SELECT {_SCENE} FROM scene ORDER BY id")
        return [_heard(row) for row in rows]


def expected_of(segments: int) -> int:
    """Return how many of the segments that an end counts are of tiles and masks."""
    return segments - -(-segments // HEADER_EVERY)


def _place(segment: Segment) -> tuple[int, int, int]:
    """Return tile, layer and first; one header or end is like another."""
    if segment.kind in (Kind.SCENE, Kind.END):
        return 0, 0, 0
    return segment.tile, segment.layer, segment.first


def _heard(row: tuple[object, ...]) -> Heard:
    number, scene_id, binding, segments, headed, *rest = row
    encoding = Encoding(scene_id, binding)  # type: ignore[arg-type]
    return Heard(number, encoding, segments, bool(headed), *rest)  # type: ignore[arg-type]

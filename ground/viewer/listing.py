"""Listing: the scenes of a folder of recordings, as far as they came."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ground.api.picture import RECORDINGS
from ground.api.source import Choice
from ground.decode.choice import Candidate, best_first
from ground.serve.library import Library, NotThereError
from ground.station.model import find_bundle
from ground.station.recording import Pass, open_recording, read_pass
from onboard import bundle as bundles
from onboard.errors import SkybookError
from onboard.link.binding import Encoding

_MOST_FILES = 1_000


@dataclass
class Listing:
    """Scenes of what a library serves; a file is read anew only where it changed.

    Attributes:
        library: what is served.
    """

    library: Library
    _read: dict[str, tuple[tuple[int, ...], list[dict[str, Any]]]] = field(default_factory=dict)

    def scenes(self) -> list[dict[str, Any]]:
        """Return what is known of each scene of up to 1,000 files, by their names."""
        found: list[dict[str, Any]] = []
        for name, _ in zip(self.library.names(), range(_MOST_FILES), strict=False):
            try:
                path = self.library.path_of(tuple(name.split("/")))
                state = path.stat()
            except (NotThereError, OSError):
                continue  # it is gone again
            version = (state.st_mtime_ns, state.st_size, state.st_ino)
            if self._read.get(name, ((), []))[0] != version:
                self._read[name] = version, _scenes_of(path, name, self.library.choice)
            found += [
                scene | {"version": "-".join(map(str, version[:2]))}
                for scene in self._read[name][1]
            ]
        return found


def _scenes_of(path: Path, name: str, choice: Choice) -> list[dict[str, Any]]:
    """Return the scenes of a file, or why there are none."""
    if path.suffix.lower() not in RECORDINGS:
        return [{"name": name}]
    try:
        received = read_pass([open_recording(path)])
        wanted = received.wanted(choice.scene_id, choice.run, ())
        ids = sorted({encoding.scene_id for encoding in wanted})
        return [found for scene in ids for found in _encodings(received, scene, name, choice)]
    except SkybookError as error:
        return [{"name": name, "error": str(error)}]


def _encodings(received: Pass, scene: int, name: str, choice: Choice) -> list[dict[str, Any]]:
    """Return the encodings of a scene, the best one first."""
    every = {e: received.of(e) for e in received.encodings if e.scene_id == scene}

    def bundle_of(encoding: Encoding) -> Path:
        known = None if choice.bundle is None else bundles.find(choice.bundle)
        return known or find_bundle(every[encoding])

    best = best_first(every, bundle_of, choice.wanted())
    return [{"name": name, **_told(candidate, received)} for candidate in best]


def _told(candidate: Candidate, received: Pass) -> dict[str, Any]:
    """Return what is known of an encoding."""
    encoding, inventory = candidate.encoding, candidate.inventory
    heard = received.heard[encoding].as_dict(encoding, ())
    tiles = None
    if inventory is not None:
        absent = sum(last - first + 1 for first, last in inventory.absent)
        tiles = [inventory.tiles - absent - len(inventory.incomplete), inventory.tiles]
    return {
        **heard,
        "bytes": sum(segment.size for segment in received.encodings[encoding]),
        "tiles": tiles,
        "complete": inventory is not None and inventory.complete,
    }

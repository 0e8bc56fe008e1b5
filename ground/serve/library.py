"""Library: what of a folder is served, by its path in the URL; nothing outside the folder is."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from ground.api.picture import RECORDINGS, ZARR, open_picture
from ground.api.source import Choice
from ground.serve.pyramid import Cache, Pyramid
from onboard.errors import InputError

_MOST_OPEN = 8
_MOST_LISTED = 10_000
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


class NotThereError(InputError):
    """Nothing is served under a path."""


@dataclass(frozen=True)
class Address:
    """Which picture is meant.

    Attributes:
        name: parts of the path below the folder.
        scene_id: scene of a recording, if it holds several.
        run: encoding of the scene.
        array: array of a Zarr, if it holds several.
    """

    name: tuple[str, ...]
    scene_id: int | None = None
    run: int | None = None
    array: str | None = None


@dataclass
class Library:
    """A folder of recordings and Zarrs, or one of them.

    Attributes:
        folder: folder of which all paths are.
        only: name of the one that is served; None for all.
        choice: how streams are decoded.
        cache: where tiles are kept.
    """

    folder: Path
    only: str | None
    choice: Choice
    cache: Cache
    _opened: OrderedDict[tuple[object, ...], Pyramid] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, path: Path, choice: Choice, cache_bytes: int) -> "Library":
        """Serve a recording, a Zarr, or a folder of them.

        Raises:
            InputError: there is nothing.
        """
        try:
            path = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: expected a recording, Zarr or folder, found none") from error
        alone = path.is_file() or _is_zarr(path)
        if path.is_file() and path.suffix.lower() not in RECORDINGS:
            raise InputError(f"{path}: expected {', '.join(RECORDINGS)} or a Zarr")
        folder, only = (path.parent, path.name) if alone else (path, None)
        return cls(folder, only, choice, Cache(cache_bytes))

    def names(self) -> Iterator[str]:
        """Yield the paths of what is served, up to 10,000; links are passed over."""
        if self.only is not None:
            yield self.only
            return
        waiting, count = [self.folder], 0
        while waiting and count < _MOST_LISTED:
            for path in sorted(waiting.pop().iterdir()):
                if path.is_symlink() or path.name.startswith("."):
                    continue
                if _is_picture(path):
                    count += 1
                    yield path.relative_to(self.folder).as_posix()
                elif path.is_dir():
                    waiting.append(path)

    def path_of(self, name: tuple[str, ...]) -> Path:
        """Return the file or folder of a path.

        Raises:
            NotThereError: there is none, or it is outside the folder.
        """
        for part in name:
            if not part.isprintable() or part[:1] in ("", ".") or "/" in part or "\\" in part:
                raise NotThereError("path: expected names that begin with no '.', without '/'")
        shown = "/".join(name)
        path = self.folder.joinpath(*name)
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            real = None
        if real != path or not _is_picture(path) or self.only not in (None, shown):
            raise NotThereError(f"{shown:.200}: expected a recording or Zarr of this folder")
        if path.is_dir() and any(inner.is_symlink() for inner in path.rglob("*")):
            raise NotThereError(f"{shown:.200}: expected a Zarr without links")
        return path

    def chosen(self, scene_id: int | None, run: int | None) -> Choice:
        """Return how one scene, or one encoding of it, is decoded."""
        return replace(self.choice, scene_id=scene_id, run=run)

    def picture(self, address: Address) -> Pyramid:
        """Return the tiles of a picture, opened anew where its file changed.

        Raises:
            NotThereError: there is none.
            SkybookError: it cannot be opened.
        """
        path = self.path_of(address.name)
        found = path.stat()
        key = (address, found.st_mtime_ns, found.st_size, found.st_ino)
        with self._lock:
            if key not in self._opened:
                choice = self.chosen(address.scene_id, address.run)
                picture = open_picture(path, choice, address.array)
                self._opened[key] = Pyramid(picture, self.cache)
                while len(self._opened) > _MOST_OPEN:
                    self._opened.popitem(last=False)
            self._opened.move_to_end(key)
            return self._opened[key]


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in _ZARR_FILES)


def _is_picture(path: Path) -> bool:
    if path.is_dir():
        return path.suffix.lower() == ZARR or _is_zarr(path)
    return path.is_file() and path.suffix.lower() in RECORDINGS

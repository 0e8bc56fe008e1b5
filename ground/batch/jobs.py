"""Jobs: what of an archive is to be made, and what was made already."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ground.api.picture import RECORDINGS, ZARR
from onboard.errors import InputError, UsageError

RASTERS = (".tif", ".tiff")
_RECORDS = ".batch"
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


@dataclass(frozen=True)
class Plan:
    """What is made of each scene.

    Attributes:
        folder: where products go; every worker must see it under this path.
        product: `.tif`, a cloud-optimised GeoTIFF, or `.sky`, a stream.
        bundle: name of the bundle; None to decode with the one that a stream names.
        linear: whether to leave images as the bundle alone gives them.
        max_pixels: most pixels (rows x columns) that a scene may have.
        ratio: compression ratio of a stream.
    """

    folder: Path
    product: str = ".tif"
    bundle: str | None = None
    linear: bool = False
    max_pixels: int = 1 << 28
    ratio: float | None = None

    @property
    def digest(self) -> str:
        """What tells it from plans that make something else."""
        words = {key: str(value) for key, value in asdict(self).items() if key != "folder"}
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """A recording, a raster, or an array of a Zarr.

    Attributes:
        name: of its product, below the folder and without a suffix.
        path: file, or folder of the Zarr; every worker must see it under this path.
        array: path of the array in the Zarr; None where there is one alone.
    """

    name: str
    path: Path
    array: str | None = None

    def stamp(self) -> list[int]:
        """Return what changes where its content does: bytes, and time of the last change."""
        files = [self.path]
        if self.path.is_dir():
            files = [path for path in (self.path / (self.array or "")).rglob("*") if path.is_file()]
        found = [path.stat() for path in files]
        return [
            sum(one.st_size for one in found),
            max((one.st_mtime_ns for one in found), default=0),
        ]


def jobs_of(source: Path, plan: Plan) -> list[Job]:
    """Return what there is to do: of a folder, of those below it, or of a Zarr; in order.

    Raises:
        InputError: there is nothing.
        UsageError: products would go among the sources.
    """
    if not source.exists():
        raise InputError(f"{source}: expected a recording, Zarr or folder, found none")
    if source.is_dir() and plan.folder.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{plan.folder}: expected a folder for products outside {source}")
    root = source if source.is_dir() and not _is_zarr(source) else source.parent
    suffixes = RECORDINGS + (RASTERS if plan.product == ".sky" else ())
    paths = sorted(_walked(source, suffixes))
    stems = Counter(path.with_suffix("") for path in paths)
    jobs = []
    for path in paths:
        plain = path.with_suffix("") if stems[path.with_suffix("")] == 1 else path
        name = plain.relative_to(root).as_posix()
        arrays = _arrays(path) if _is_zarr(path) else [None]
        jobs += [Job(f"{name}/{a}" if len(arrays) > 1 else name, path, a) for a in arrays]
    if not jobs:
        raise InputError(f"{source}: expected {', '.join(suffixes)} or a Zarr, found none")
    return jobs


def _walked(source: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if _is_zarr(path) or (path.is_file() and path.suffix.lower() in suffixes):
            yield path
        elif path.is_dir():
            waiting += [p for p in path.iterdir() if p.name[:1] != "." and not p.is_symlink()]


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and (
        path.suffix.lower() == ZARR or any((path / name).is_file() for name in _ZARR_FILES)
    )


def _arrays(path: Path) -> list[str | None]:
    """Return the images of a Zarr: those at full size, without masks; None if it is an array."""
    import zarr  # noqa: PLC0415 (only where there is a Zarr)

    try:
        node = zarr.open(path, mode="r")
        found = list(_images(node, "")) if hasattr(node, "group_keys") else []
    except Exception:  # whatever is wrong with it, its job says so
        found = []
    return [*found] or [None]


def _images(group: Any, place: str) -> Iterator[str]:
    for name, array in sorted(group.arrays()):
        sample = array.dtype.kind in "ui" and array.dtype.itemsize <= 2
        if sample and array.ndim >= 2 and "flag_meanings" not in array.attrs:
            yield f"{place}{name}"
    groups = dict(group.groups())
    full = ["0"] if "0" in groups and "multiscales" in group.attrs else sorted(groups)
    for name in full:
        yield from _images(groups[name], f"{place}{name}/")


def record_of(job: Job, plan: Plan) -> Path:
    """Return the path at which it is kept what was made of a job."""
    return plan.folder / _RECORDS / f"{job.name}.json"


def keep(job: Job, plan: Plan, stamp: list[int], made: dict[str, Any]) -> None:
    """Keep what was made of a job, once its products are in place."""
    path = record_of(job, plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}-{os.getpid()}")
    new.write_text(json.dumps({"plan": plan.digest, "stamp": stamp, **made}))
    os.replace(new, path)


def kept(job: Job, plan: Plan) -> dict[str, Any] | None:
    """Return what was made of a job, None if it is to be made: now, or again."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found: dict[str, Any] = json.loads(record_of(job, plan).read_text())
        same = found["plan"] == plan.digest and found["stamp"] == job.stamp()
        if same and all((plan.folder / name).exists() for name in found["made"]):
            return found
    return None

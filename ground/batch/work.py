"""Work: one job, done by one worker; whatever is wrong with it is said, not raised."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ground.api.picture import Picture, open_picture, picture_of
from ground.api.source import Choice, Source, known_tags
from ground.batch.jobs import RASTERS, Job, Plan, keep
from ground.decode.decoder import Decoder
from ground.products import geotiff
from ground.products.decoded import check_place
from ground.products.large.blockwise import write_blocks
from ground.products.legend import LEGEND
from ground.scene import Scene
from ground.station.recording import open_recording, read_pass
from onboard.commands.commandline import peak_rss_mb
from onboard.encoder.array import encode_array
from onboard.errors import InputError, SkybookError
from onboard.outputs import open_whole

_THREADS = 1
"""A worker is one of as many as there are processors, and takes no more than its own."""
_LOST = [entry.value for entry in LEGEND if entry.lacks]


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        name: of the job.
        made: products, below the folder.
        reasons: why something is not complete, or why it failed.
        failed: whether nothing, or not all, could be made.
        seconds: time that it took.
        peak_bytes: most memory that its worker had until then.
        worker: process that did it.
    """

    name: str
    made: list[str]
    reasons: list[str]
    failed: bool = False
    seconds: float = 0.0
    peak_bytes: int = 0
    worker: int = 0


def work(job: Job, plan: Plan) -> Outcome:
    """Make the products of a job, and keep that they are there."""
    begun, made, reasons, failed = time.monotonic(), [], [], False
    try:
        stamp = job.stamp()
        for name, scene in _scenes(job, plan):
            path = plan.folder / f"{name}{plan.product}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write = _write_stream if plan.product == ".sky" else _write_raster
            reasons += [f"{path.name}: {reason}" for reason in write(path, scene, plan)]
            made.append(path.relative_to(plan.folder).as_posix())
        keep(job, plan, stamp, {"made": made, "reasons": reasons})
    except (SkybookError, OSError, MemoryError) as error:
        failed = True
        reasons.append(str(error) or repr(error))
    except Exception as error:  # one scene must not stop the others
        failed = True
        reasons.append(f"unforeseen: {error!r:.500}")
    peak = int(peak_rss_mb() * (1 << 20))
    took = time.monotonic() - begun
    return Outcome(job.name, made, reasons, failed, took, peak, os.getpid())


def _scenes(job: Job, plan: Plan) -> Iterator[tuple[str, Picture]]:
    """Yield the scenes of a job, and the names of their products."""
    choice = Choice(
        bundle=plan.bundle, linear=plan.linear, max_pixels=plan.max_pixels, threads=_THREADS
    )
    if job.path.is_dir():
        yield job.name, _array(job, choice)
        return
    if job.path.suffix.lower() in RASTERS:
        yield job.name, _picture(geotiff.read(job.path))
        return
    recordings = [open_recording(job.path)]
    received = read_pass(recordings, None, known_tags(plan.bundle))
    scenes: list[int | None] = [*sorted({encoding.scene_id for encoding in received.encodings})]
    for scene_id in scenes or [None]:
        chosen = replace(choice, scene_id=scene_id)
        source = Source.of(recordings, chosen, _decoder, received=received)
        name = job.name if len(scenes) < 2 else f"{job.name}-{scene_id}"
        yield name, picture_of(source)


def _array(job: Job, choice: Choice) -> Picture:
    """Open an array of a Zarr, with what its group says of it, if the group names dimensions."""
    try:
        return open_picture(job.path, choice, job.array)
    except InputError:
        if job.array is None:
            raise
        return open_picture(job.path / job.array, choice)


@lru_cache(maxsize=4)
def _decoder(path: Path, linear: bool) -> Decoder:
    """Return a decoder; a worker opens that of a bundle once."""
    return Decoder(path, _THREADS, linear)


def _picture(scene: Scene) -> Picture:
    """Return a scene in memory as a picture, all of it there."""
    valid = np.zeros(scene.image.shape[1:], np.uint8)
    return Picture(
        scene, {}, lambda down, across: (scene.image[:, down, across], valid[down, across])
    )


def _write_raster(path: Path, picture: Picture, plan: Plan) -> list[str]:
    """Write a GeoTIFF window by window; return why it is not complete."""
    check_place(path)
    scene, blocks = picture.scene, picture.blocks()
    counts, reasons = write_blocks(path, scene, blocks, lambda: picture.origin, _THREADS)
    return reasons + _lost(sum(counts.get(value, 0) for value in _LOST))


def _write_stream(path: Path, picture: Picture, plan: Plan) -> list[str]:
    """Encode a scene; return why it is not complete."""
    image = np.empty(picture.shape, picture.scene.image.dtype)
    lost = 0
    for down, across, part, mask in picture.blocks():
        image[:, down, across] = part
        lost += int(np.isin(mask, _LOST).sum())
    scene = replace(picture.scene, image=image)
    # Said, since what a worker makes must not depend on the engine of its machine.
    header, bundle = scene.header(), plan.bundle or "skybook"
    stream = encode_array(image, bundle, header=header, ratio=plan.ratio, trellis=False)
    making = path.with_name(f".{path.name}-{os.getpid()}")
    with open_whole(making) as file:
        file.write(stream)
    os.replace(making, path)
    return _lost(lost)


def _lost(pixels: int) -> list[str]:
    return [f"{pixels} pixels were lost, and filled"] if pixels else []

"""Model: which of the known bundles a stream was made with."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from onboard.bundle import known_paths, load
from onboard.errors import BundleError, StreamError, reading
from onboard.link.binding import NO_RUN, bind, run_of
from onboard.link.end import told_run
from onboard.link.resync import Damage
from onboard.link.segment import Segment


def tag_of(path: Path) -> bytes:
    """Return the tag of a bundle's file, which is read again only if it has changed.

    Raises:
        BundleError: unreadable or damaged.
    """
    with reading(path, BundleError):
        found = path.stat()
    return _tag_of(path, (found.st_ino, found.st_mtime_ns, found.st_size))


@lru_cache
def _tag_of(path: Path, _stamp: tuple[int, int, int]) -> bytes:
    return load(str(path)).tag


def find_bundle(segments: Iterable[Segment | Damage]) -> Path:
    """Return the known bundle of the first binding whose model is known.

    A scene header or end tells the model, else it is one that may have the binding.

    Raises:
        StreamError: there is no intact segment.
        BundleError: no known bundle fits; the message names the models.
    """
    paths = {tag_of(path): path for path in known_paths()}
    told: dict[bytes, int | None] = {}
    for segment in segments:
        if isinstance(segment, Segment) and told.get(segment.binding) is None:
            told[segment.binding] = told_run(segment)
    if not told:
        raise StreamError("stream: no intact segment")
    for binding, run in told.items():
        for tag, path in paths.items():
            if run_of(binding, tag) is not None and run in (None, run_of(binding, tag)):
                return path
    models = ", ".join(bind(binding, run or NO_RUN).hex() for binding, run in [*told.items()][:5])
    raise BundleError(
        f"stream: made by model {models}, expected a known bundle's: name it with --bundle, or put "
        "it in a folder of SKYBOOK_BUNDLES, its decoder graph NAME.onnx beside NAME.skyb"
    )

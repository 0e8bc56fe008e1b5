"""Delivery: how far a file came by CFDP, kept beside it so that the next pass goes on."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onboard.errors import StreamError

_FORMAT = 1
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Delivery:
    """What a receiver needs to go on with a transaction.

    Attributes:
        metadata: the metadata PDU.
        end: the end-of-file PDU; empty while none came.
        gaps: ranges of the file, first byte and end, that lack before `reach`.
        reach: how far the file reaches; all behind lacks.
        peer: address and port that the sender was last heard from; None if it has none.
    """

    metadata: bytes
    end: bytes
    gaps: list[tuple[int, int]]
    reach: int
    peer: tuple[str, int] | None = None

    def write(self, file: Path) -> None:
        """Keep this beside the file: all of it, or what was kept before."""
        kept = asdict(self) | {"metadata": self.metadata.hex(), "end": self.end.hex()}
        path, new = journal_of(file), journal_of(file).with_name(f"{file.name}.cfdp-new")
        new.write_text(json.dumps({"format": _FORMAT, **kept}))
        os.replace(new, path)

    @classmethod
    def read(cls, file: Path) -> "Delivery | None":
        """Return what is kept beside a file; None if there is nothing, or no file any more.

        Raises:
            StreamError: it is damaged, or of another version.
        """
        path = journal_of(file)
        if not path.exists() or not file.exists():
            return None
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError(f"{path.stat().st_size} bytes")
            return _parsed(json.loads(path.read_text()), file.stat().st_size)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StreamError(
                f"{path}: expected how far {file.name} came, found {error!r}; "
                "without it the file is received anew"
            ) from error


def journal_of(file: Path) -> Path:
    """Return the path of what is kept beside a file."""
    return file.with_name(f"{file.name}.cfdp")


def forget(file: Path) -> None:
    """Remove what is kept beside a file."""
    with suppress(FileNotFoundError):
        journal_of(file).unlink()


def _parsed(kept: Any, size: int) -> Delivery:
    """Return what was kept, of a file that may have been cut short since."""
    if kept["format"] != _FORMAT:
        raise ValueError(f"format {kept['format']}")
    reach = min(int(kept["reach"]), size)
    gaps = [(int(first), min(int(stop), reach)) for first, stop in kept["gaps"]]
    gaps = [gap for gap in gaps if gap[0] < gap[1]]
    if reach < 0 or any(first < 0 for first, _ in gaps):
        raise ValueError("a range before the file")
    peer = kept["peer"] and (str(kept["peer"][0]), int(kept["peer"][1]))
    metadata, end = (bytes.fromhex(kept[name]) for name in ("metadata", "end"))
    return Delivery(metadata, end, gaps, reach, peer)

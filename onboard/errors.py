"""The one error tree of skybook.

Every class carries a stable numeric ``code`` for telemetry and the ``exit_code`` its command ends
with; both are part of SPEC.md and never change meaning. Messages say what was expected and found.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SkybookError(Exception):
    """Root of every error that skybook raises on purpose."""

    code = 100
    exit_code = 1


class UsageError(SkybookError, ValueError):
    """A command or call asks for something that does not exist or does not fit together."""

    code = 200
    exit_code = 2


class InputError(SkybookError, ValueError):
    """An image, scene or data set does not have the dtype, shape or values that are needed."""

    code = 300
    exit_code = 3


class StreamError(SkybookError, ValueError):
    """A bitstream is damaged, incomplete or of an unknown version."""

    code = 400
    exit_code = 4


class BundleError(SkybookError, ValueError):
    """A model bundle is damaged, incomplete or not the one that is needed."""

    code = 500
    exit_code = 5


class LimitError(SkybookError, MemoryError):
    """A declared limit (pixels, bytes, bands) would be exceeded."""

    code = 600
    exit_code = 6


class EngineError(SkybookError, RuntimeError):
    """An inference engine is not installed, or cannot run this bundle."""

    code = 700
    exit_code = 7


@contextmanager
def reading(path: Path, kind: type[SkybookError] = InputError) -> Iterator[None]:
    """Say of a file that the system cannot read which one it is, and why, as one of our errors."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: cannot be read: {error.strerror}") from error

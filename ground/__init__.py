"""The ground side of skybook: train, decode, measure and look.

    cube = ground.open("pass.pkt")   # an xarray.Dataset, decoded where it is looked at
    cube = ground.decode(stream)     # one of bytes, decoded at once

`ground.decode` is a package as well: it can be called.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from ground import decode
from ground.products.extra import library

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["decode", "open"]


def open(*paths: Any, **options: Any) -> "Dataset":
    """Open a scene of recordings of a pass as a lazy dataset.

    Args:
        paths: all that was received of the pass, in any order.
        options: `scene_id`, `run`, `bundle`, `linear`, `max_pixels`, `profile`, as of
            `ground.api.opened.open_recordings`.
    """
    return _loaded().open_recordings(*paths, **options)  # type: ignore[no-any-return]


class _Decode(ModuleType):
    """The package `ground.decode`, which can be called."""

    def __call__(self, stream: Any, **options: Any) -> "Dataset":
        """Decode a scene of bytes, packets or bare segments, to a dataset.

        Args:
            stream: all that was received.
            options: as of `ground.open`.
        """
        return _loaded().decode_stream(stream, **options)  # type: ignore[no-any-return]


def _loaded() -> Any:
    """Load what needs xarray, where it is needed."""
    library("xarray")
    return library("ground.api.opened")


decode.__class__ = _Decode

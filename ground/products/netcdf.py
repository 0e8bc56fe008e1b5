"""NetCDF: a decoded scene and its mask in one file, in the words of CF."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.products.cube import IMAGE, MASK, cube_of
from ground.products.extra import library
from ground.products.origin import Origin
from ground.scene import Scene
from onboard.errors import InputError
from onboard.outputs import open_whole

_CHUNK = 512


def write_product(
    path: Path, scene: Scene, mask: NDArray[np.uint8], origin: Origin | None = None
) -> list[str]:
    """Write a decoded scene and its mask as NetCDF-4.

    Returns:
        What was left out, and why.

    Raises:
        UsageError: the file cannot be created, or there is not enough room for it.
        EngineError: a library is not installed.
    """
    library("h5netcdf")
    reasons = []
    try:
        cube = cube_of(scene, mask, origin)
    except InputError as error:
        reasons.append(f"written without CRS: {error}")
        cube = cube_of(replace(scene, crs=None), mask, origin)
    sides = tuple(min(_CHUNK, side) for side in mask.shape)
    packed = {"zlib": True, "complevel": 4, "shuffle": True}
    encoding = {
        IMAGE: {**packed, "chunksizes": (1, *sides)},
        MASK: {**packed, "chunksizes": sides},
        **{name: {"_FillValue": None} for name in cube.coords if name in ("x", "y")},
    }
    file = cube.to_netcdf(engine="h5netcdf", format="NETCDF4", encoding=encoding)
    with open_whole(path) as output:
        output.write(file)
    return reasons

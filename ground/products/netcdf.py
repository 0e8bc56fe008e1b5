"""NetCDF: a decoded scene and its mask in one file, in the words of CF."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.products.cube import IMAGE, MASK, cube_of
from ground.products.extra import library
from ground.products.origin import Origin
from ground.products.place import placed
from ground.scene import Scene
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
    scene, place, reasons = placed(scene)
    cube = cube_of(scene, mask, origin, place)
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

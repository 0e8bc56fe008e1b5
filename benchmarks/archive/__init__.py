"""Archive: what the ground segment takes: granules, windows, Zarr, many workers."""

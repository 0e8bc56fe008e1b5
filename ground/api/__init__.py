"""What Python users call, by `ground.open` and `ground.decode`: streams as xarray datasets."""

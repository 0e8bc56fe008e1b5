"""Serve: streams and Zarrs as tiles over HTTP, for GDAL, QGIS and browsers."""

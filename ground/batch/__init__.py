"""Batch: an archive of many scenes, decoded or encoded anew on a cluster of dask.distributed."""

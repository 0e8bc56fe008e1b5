"""Tables that can be measured again."""

from benchmarks.reproduce.corsaopeneo import CORSA_OPENEO
from benchmarks.reproduce.corsatable1 import CORSA_TABLE1
from benchmarks.reproduce.segmentationtables import CORSA_TABLE2, SEGMENTATION

TABLES = {table.name: table for table in (CORSA_TABLE1, CORSA_TABLE2, CORSA_OPENEO, SEGMENTATION)}
"""In the order in which all are measured."""

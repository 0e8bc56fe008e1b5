"""Tables that can be measured again."""

from benchmarks.reproduce.corsaopeneo import CORSA_OPENEO
from benchmarks.reproduce.corsatable1 import CORSA_TABLE1

TABLES = {table.name: table for table in (CORSA_TABLE1, CORSA_OPENEO)}
"""In the order in which all are measured."""

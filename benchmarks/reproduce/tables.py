"""Tables that can be measured again."""

from benchmarks.reproduce.corsaopeneo import CORSA_OPENEO

TABLES = {table.name: table for table in (CORSA_OPENEO,)}
"""In the order in which all are measured."""

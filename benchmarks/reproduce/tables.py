"""Tables that can be measured again."""

from benchmarks.reproduce.classificationtables import CORSA_FIG4, CORSA_FIG5
from benchmarks.reproduce.corsaopeneo import CORSA_OPENEO
from benchmarks.reproduce.corsatable1 import CORSA_TABLE1
from benchmarks.reproduce.featurestable import FEATURES
from benchmarks.reproduce.jointtable import JOINT
from benchmarks.reproduce.mcos.figure7 import MCOS_FIG7
from benchmarks.reproduce.mcos.table2 import MCOS_TABLE2
from benchmarks.reproduce.segmentationtables import CORSA_TABLE2, SEGMENTATION
from benchmarks.reproduce.vqtables import DISCRIMINATOR, VQ_STUDY

_CORSA = (CORSA_TABLE1, CORSA_TABLE2, CORSA_FIG4, CORSA_FIG5, CORSA_OPENEO)
_ALL = (*_CORSA, FEATURES, SEGMENTATION, JOINT, MCOS_TABLE2, MCOS_FIG7, VQ_STUDY, DISCRIMINATOR)
TABLES = {table.name: table for table in _ALL}
"""In the order in which all are measured."""

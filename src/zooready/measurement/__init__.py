"""Objects of pictures become rows of a table: what a network learnt to see in each, its class scores, and classical measurements.

In: an opened classifier bundle, pictures, and label pictures that say where the objects are. Out: a Table, and its CSV.

May import: images, prediction
"""

from zooready.measurement.crops import Crop, crops
from zooready.measurement.table import Measurer, Table, save, table

__all__ = ["Crop", "Measurer", "Table", "crops", "save", "table"]

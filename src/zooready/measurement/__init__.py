"""Objects of images become rows of a table: what a network learnt to see in each, its class scores, and classical measurements.

In: an opened classifier bundle, images, and label images that say where the objects are. Out: a Table, and its CSV.

May import: images, bundle, prediction
"""

from zooready.measurement.crops import Crop, crops
from zooready.measurement.table import Measurer, Table, save, table

__all__ = ["Crop", "Measurer", "Table", "crops", "save", "table"]

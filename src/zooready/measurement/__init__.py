"""Measures the objects of images, one row of a table per object: a network's embedding and class scores, and classical features.

In: an opened classifier bundle, images, and label images that say where the objects are; or, without a classifier, images and labels
alone. Out: a Table, and its CSV.

May import: images, bundle, prediction
"""

from zooready.measurement.cutouts import Crop, crops
from zooready.measurement.objects import object_rows, outlined, with_classes
from zooready.measurement.rows import Measurer, Table, numbers, save, table

__all__ = ["Crop", "Measurer", "Table", "crops", "numbers", "object_rows", "outlined", "save", "table", "with_classes"]

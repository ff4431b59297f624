"""Files, arrays or simulations become pairs for training.

In: a user's folder, or that of a public data set (``SETS``). Out: :class:`Folder` (images with partners) or :class:`Classified`
(images with a class), and splits into training and held-out images. ``read_…`` raises one error that lists all faults; ``examine_…``
returns the faults and whatever could be read.

May import: images, simulate
"""

from zooready.data.arrivals import arriving
from zooready.data.augmentation import augmented
from zooready.data.biosr import examine_biosr, read_biosr, views
from zooready.data.classes import Classified, class_folders, examine_classes, images_in, read_classes
from zooready.data.folder import Folder, alike, examine_folder, mark, read_folder, subfolder
from zooready.data.npz import examine_npz, npz_files, read_npz
from zooready.data.object_sizes import notes_on_points, objects_in
from zooready.data.sets import SETS, PublicSet, named_set
from zooready.data.splits import Split, folds, planned, share
from zooready.data.verifying import examine_pairs, examine_set, read_set, where

__all__ = [
    "SETS",
    "Classified",
    "Folder",
    "PublicSet",
    "Split",
    "alike",
    "arriving",
    "augmented",
    "class_folders",
    "examine_biosr",
    "examine_classes",
    "examine_folder",
    "examine_npz",
    "examine_pairs",
    "examine_set",
    "folds",
    "images_in",
    "mark",
    "named_set",
    "npz_files",
    "notes_on_points",
    "objects_in",
    "planned",
    "read_biosr",
    "read_classes",
    "read_folder",
    "read_npz",
    "read_set",
    "share",
    "subfolder",
    "views",
    "where",
]

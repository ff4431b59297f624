"""Files, arrays or simulations become pairs for training.

May import: records, pictures, simulate
"""

from zooready.data.augmentation import augmented
from zooready.data.folder import Folder, read_folder

__all__ = ["Folder", "augmented", "read_folder"]

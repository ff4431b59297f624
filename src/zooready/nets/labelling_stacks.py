"""Object labels of a stack from probabilities, inside the network: :mod:`zooready.nets.labelling` with one more axis.

A voxel has 26 neighbours. Nothing is said of the distance of planes: heights are relative to each object's own, and a way uphill leads to
its core whatever the shape of a voxel.
"""

import torch
from torch import nn

from zooready.nets.labelling import Instances


def higher_along(height: torch.Tensor, index: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each voxel and its two neighbours along an axis, the height of the highest and its index; the voxel's own if they are level.

    (b, 1, z, y, x) float32, not negative, and int32 -> the same two.
    """
    edge = [0] * (2 * (4 - axis)) + [1, 1]
    wide, wide_index = nn.functional.pad(height, edge), nn.functional.pad(index, edge)
    for start in (0, 2):
        other = wide.narrow(axis, start, height.shape[axis])
        is_higher = other > height
        height = torch.where(is_higher, other, height)
        index = torch.where(is_higher, wide_index.narrow(axis, start, index.shape[axis]), index)
    return height, index


class StackInstances(Instances):
    """(b, 2, z, y, x) foreground and distance -> the same, and labels (b, 1, z, y, x) float32: 0 background, 1…n in each stack.

    Parameters are those of :class:`zooready.nets.labelling.Instances`, with voxels in place of pixels.
    """

    def means(self, distance: torch.Tensor) -> torch.Tensor:
        """Mean of the 3×3 voxels around each in its plane, since an object may reach through three planes only; (b, 1, z, y, x) float32."""
        wide = nn.functional.pad(distance, (1, 1, 1, 1))  # by itself, since avg_pool3d takes no image below its kernel's size
        return nn.functional.avg_pool3d(wide, (1, 3, 3), stride=1)

    def uphill(self, height: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Height of the highest of a voxel and its 26 neighbours, and its index; (b, 1, z, y, x) float32 and int32 -> the same two.

        They are found axis by axis: one choice among all of them takes the optimiser of Fiji's libtorch many minutes.
        """
        for axis in (4, 3, 2):
            height, index = higher_along(height, index, axis)
        return height, index

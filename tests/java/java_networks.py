"""Small networks, exported in this process: Java runs in another."""

import warnings

import torch
from torch import nn

torch.set_num_threads(1)


class TwoOutputs(nn.Module):
    """Maps (b, 3, y, x) and scores (b, 3) from (b, 2, y, x)."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, image):
        maps = self.last(torch.relu(self.first(image)))
        return maps, maps.mean((2, 3))


def save(network, path, example, outputs=("out",)):
    """Trace to ``.pt`` or export to ``.onnx`` with free batch, y and x."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".pt":
            torch.jit.save(torch.jit.trace(network, example), path)
        else:
            free = {0: "b", 2: "y", 3: "x"}
            torch.onnx.export(
                network, (example,), path, dynamo=False, opset_version=17, input_names=["image"],
                output_names=list(outputs), dynamic_axes={"image": free},
            )  # fmt: skip
    return path

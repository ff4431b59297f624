"""A restored image made as sharp as its target: squared error makes points wider than they are wherever their place is not certain."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

DEVIATIONS = 4  # after which the Gaussian ends


class Sharpened(nn.Module):
    """Unsharp masking: image + amount * (image - the image blurred by a Gaussian); (b, 1, y, x) -> the same shape, any size.

    It is linear and keeps flat images and the sum of the light. Beyond the rim the image goes on as at the rim.

    Parameters
    ----------
    sigma_px
        Standard deviation of the Gaussian, above 0.
    amount
        0 changes nothing.

    Raises
    ------
    ValueError
        A width that is not above 0, or an amount below 0.
    """

    def __init__(self, sigma_px: float, amount: float) -> None:
        super().__init__()
        if not sigma_px > 0 or not amount >= 0:
            raise ValueError(f"sigma_px={sigma_px}, amount={amount}: give a width above 0, and an amount of 0 or more.")
        self.amount = amount
        self.reach_px = math.ceil(DEVIATIONS * sigma_px)
        offset = torch.arange(-self.reach_px, self.reach_px + 1, dtype=torch.float64)
        kernel = torch.exp(-0.5 * (offset / sigma_px) ** 2)
        self.register_buffer("kernel", (kernel / kernel.sum()).float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        kernel = self.kernel
        assert isinstance(kernel, Tensor)
        padded = functional.pad(image, (self.reach_px,) * 4, mode="replicate")
        blurred = functional.conv2d(functional.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None, :])
        return image + self.amount * (image - blurred)

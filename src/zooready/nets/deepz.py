"""Virtual refocusing (Deep-Z): one plane and the distance to travel in, the plane at that distance out.

    plane, distance (b, 2, y, x)  -- Generator: the published network -->          refocused plane (b, 1, y, x)
    plane, distance (b, 2, y, x)  -- Refocus: encode, then decode by distance -->  refocused plane (b, 1, y, x)
    plane (b, 1, y, x)            -- Stack: encode once, decode n times -->        n refocused planes (b, n, y, x)

`Refocus` and `Stack` take one recorded plane or two: a second one tells what lies above from what lies below without any aberration.
The distance is that of the digital propagation matrix (DPM): micrometres over ten, one number per pixel. `Refocus` and `Stack` have the
same weights. The published generator sees the distance as a second channel of its input, so every plane costs the whole network; in
`Refocus` it scales and shifts the features of the decoder, so the encoder's work is done once for any number of planes.

Wu et al., Nature Methods 16, 1323 (2019), doi:10.1038/s41592-019-0622-5
Perez et al., AAAI 2018, arXiv:1709.07871: features scaled and shifted by a condition
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 6  # of the published generator, the full size among them
TOGETHER = 7  # planes that are decoded at once: fewer make the traced network long, more need more memory
CODE = 32  # numbers that a distance becomes before it scales and shifts features


class Generator(nn.Module):
    """The published generator at any width; y and x must be multiples of 32. Width 48 is the published one, 77,802,908 parameters.

    Parameters
    ----------
    width
        Channels at full size, at least 2; every level below has twice as many. Between the two convolutions of a block the
        number of channels is the mean of those before and after it, rounded up.

    Raises
    ------
    ValueError
        A width below 2.
    """

    ENCODER = ("down",)

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(f"width={width}: use 2 or more, because the image and its distance are two channels.")
        widths = [width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(Block(before, after) for before, after in zip([2, *widths[:-1]], widths, strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * after, after, 3, stride=2) for after in widths[:-1])
        self.up = nn.ModuleList(Block(2 * after, after) for after in widths[:-1])
        self.last = nn.Conv2d(width, 1, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Plane and distance over ten micrometres (b, 2, y, x) -> the refocused plane (b, 1, y, x), float32, linear."""
        skips: list[Tensor] = []
        features = image
        for level, block in enumerate(self.down):
            features = block(functional.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for level in reversed(range(LEVELS - 1)):
            larger = self.enlarge[level](features)[..., :-1, :-1]  # (b, c, 2y, 2x); the published padding is at the end only
            features = self.up[level](torch.cat((larger, skips[level]), 1))
        refocused: Tensor = self.last(features)
        return refocused


class Block(nn.Module):
    """Two 3x3 convolutions, each with ReLU, to which the first channels of the input are added, or the input and channels of zeros."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        between = (channels_in + channels + 1) // 2
        self.first = nn.Conv2d(channels_in, between, 3, padding=1)
        self.second = nn.Conv2d(between, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(b, channels_in, y, x) -> (b, channels, y, x)."""
        features = functional.relu(self.second(functional.relu(self.first(image))))
        same = image[:, : features.shape[1]]
        return features + functional.pad(same, (0, 0, 0, 0, 0, features.shape[1] - same.shape[1]))


class Refocus(nn.Module):
    """A small network for many planes of one image; y and x must be multiples of ``2 ** len(widths)``.

    Half of the image's size is the largest at which it works, on the four bands of a Haar transform, which lose nothing.

    Parameters
    ----------
    widths
        Channels at a half, a quarter, ... of the image's size.
    encoder, decoder
        Residual pairs of 3x3 convolutions at each of these sizes, before and after the distance is known.
    recorded
        Planes that the image has, 1 or 2; of two, the upper one comes first, and distances count from the middle between them.
    furthest
        Distance over ten micrometres beyond which every distance is taken as this one, since numbers grow with its square; None if any
        may come.
    """

    ENCODER = ("lift", "encoder", "shrink")

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 112),
        encoder: tuple[int, ...] = (1, 1, 2),
        decoder: tuple[int, ...] = (1, 2, 2),
        recorded: int = 1,
        *,
        furthest: float | None = None,
    ) -> None:
        super().__init__()
        self.recorded, self.furthest = recorded, furthest
        self.lift = nn.Conv2d(4 * recorded, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            nn.Sequential(*(Pair(width) for _ in range(count))) for width, count in zip(widths, encoder, strict=True)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(before, after, 2, stride=2) for before, after in zip(widths[:-1], widths[1:], strict=True))
        self.code = nn.Sequential(nn.Conv2d(3, CODE, 1), nn.ReLU(), nn.Conv2d(CODE, CODE, 1), nn.ReLU())
        self.decoder = nn.ModuleList(
            nn.ModuleList(Conditioned(width) for _ in range(count)) for width, count in zip(widths, decoder, strict=True)
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(after, before, 2, stride=2) for before, after in zip(widths[:-1], widths[1:], strict=True)
        )
        self.last = nn.Conv2d(widths[0], 4, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Recorded planes and distance over ten micrometres, one channel each -> the refocused plane (b, 1, y, x), float32."""
        planes, distance = image[:, : self.recorded], image[:, self.recorded :]
        if self.furthest is not None:
            distance = distance.clamp(-self.furthest, self.furthest)
        nearest = self.nearest(planes, distance)
        distances: list[Tensor] = []
        for _ in self.encoder:
            distance = functional.avg_pool2d(distance, 2)
            distances.append(distance)
        return self.decoded(nearest, self.encoded(planes), distances)

    def nearest(self, planes: Tensor, distance: Tensor) -> Tensor:
        """The recorded plane that is nearest to the distance: (b, 1 or 2, y, x), and (b, 1, y, x) or (b, 1, 1, 1) -> (b, 1, y, x)."""
        return planes if self.recorded == 1 else torch.where(distance < 0, planes[:, :1], planes[:, 1:])

    def encoded(self, planes: Tensor) -> list[Tensor]:
        """Recorded planes -> features at a half, a quarter, ... of the size, whatever the distance."""
        levels: list[Tensor] = []
        features = self.lift(analysis(planes))
        for level, pairs in enumerate(self.encoder):
            features = pairs(self.shrink[level - 1](features) if level else features)
            levels.append(features)
        return levels

    def decoded(self, plane: Tensor, levels: list[Tensor], distances: list[Tensor]) -> Tensor:
        """Features and the distance at each of their sizes, (b, 1, ...) or (b, 1, 1, 1) -> the refocused plane (b, 1, y, x)."""
        features = levels[-1]
        for level in reversed(range(len(levels))):
            distance = distances[level]
            code = self.code(torch.cat((2 * distance, 2 * distance.abs(), 4 * distance * distance), 1))
            for pair in self.decoder[level]:  # type: ignore[attr-defined]
                features = pair(features, code)
            if level:
                features = self.enlarge[level - 1](features) + levels[level - 1]
        if features.dtype != plane.dtype:
            with torch.autocast(plane.device.type, enabled=False):
                return torch.add(plane, synthesis(self.last(features.float())))
        return torch.add(plane, synthesis(self.last(features)))


class Stack(Refocus):
    """The same network for several fixed distances.

    Parameters
    ----------
    distances
        From the image to each plane, micrometres over ten; other parameters are those of :class:`Refocus`.
    """

    def __init__(
        self, distances: tuple[float, ...], widths: tuple[int, ...], encoder: tuple[int, ...], decoder: tuple[int, ...], recorded: int = 1
    ) -> None:
        super().__init__(widths, encoder, decoder, recorded)
        self.distances = tuple(distances)

    def forward(self, image: Tensor) -> Tensor:
        """The image (b, 1 or 2, y, x) -> one channel per distance (b, n, y, x), float32."""
        levels = self.encoded(image)
        one = torch.ones_like(image[:, :1, :1, :1])
        planes = []
        for first in range(0, len(self.distances), TOGETHER):
            some = self.distances[first : first + TOGETHER]
            distance = torch.cat([one * number for number in some], 1).flatten(0, 1)[:, None]  # (b * planes, 1, 1, 1)
            repeated = [several(level, len(some)) for level in levels]
            nearest = self.nearest(several(image, len(some)), distance)
            decoded = self.decoded(nearest, repeated, [distance] * len(levels))
            planes.append(decoded.reshape(image.shape[0], len(some), image.shape[2], image.shape[3]))
        return torch.cat(planes, 1)


def several(features: Tensor, count: int) -> Tensor:
    """(b, c, y, x) -> (b * count, c, y, x): each of the batch that many times in a row."""
    return features.unsqueeze(1).expand(-1, count, -1, -1, -1).flatten(0, 1)


class AsStack(nn.Module):
    """Channels become planes."""

    def forward(self, planes: Tensor) -> Tensor:
        """(b, n, y, x) -> (b, 1, n, y, x)."""
        return planes.unsqueeze(1)


class Pair(nn.Module):
    """Two 3x3 convolutions added to their input: (b, channels, y, x) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.01)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        added: Tensor = features + self.second(functional.relu(self.first(features)))
        return added


class Conditioned(nn.Module):
    """A pair of convolutions, between which features are scaled and shifted by what a distance became; see :class:`Pair`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.condition = nn.Conv2d(CODE, 2 * channels, 1)
        nn.init.normal_(self.second.weight, std=0.01)

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        """(b, channels, y, x) and (b, 32, y, x) or (b, 32, 1, 1) -> (b, channels, y, x)."""
        scale, shift = torch.chunk(self.condition(code), 2, 1)
        between = functional.relu(self.first(features) * (1 + scale) + shift)
        added: Tensor = features + self.second(between)
        return added


def analysis(image: Tensor) -> Tensor:
    """Haar transform: (b, c, y, x) -> (b, 4c, y/2, x/2), one band of all channels after the other."""
    top, bottom = image[..., ::2, :], image[..., 1::2, :]
    total, change = top + bottom, top - bottom
    bands = (total[..., ::2] + total[..., 1::2], total[..., ::2] - total[..., 1::2])
    changes = (change[..., ::2] + change[..., 1::2], change[..., ::2] - change[..., 1::2])
    return torch.cat((*bands, *changes), 1) * 0.5


def synthesis(bands: Tensor) -> Tensor:
    """The inverse of :func:`analysis`: (b, 4, y, x) -> (b, 1, 2y, 2x)."""
    coarse, across, down, diagonal = torch.chunk(bands * 0.5, 4, 1)
    total, change, other_total, other_change = coarse + across, down + diagonal, coarse - across, down - diagonal
    top = torch.stack((total + change, other_total + other_change), -1).flatten(-2)  # (b, 1, y, 2x)
    bottom = torch.stack((total - change, other_total - other_change), -1).flatten(-2)
    return torch.stack((top, bottom), -2).flatten(-3, -2)

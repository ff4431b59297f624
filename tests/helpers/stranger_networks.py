"""Networks as strangers write them: the very file that travels in bundles of :mod:`makes`."""

import torch
from torch import nn
from torch.nn import functional


class Unet(nn.Module):
    """Two levels, ``stride`` 2 or 4; 2D or 3D."""

    def __init__(self, inputs=1, outputs=1, width=8, levels=2, flat=True, norm=True, upsample="transposed"):
        super().__init__()
        conv, bn, pool = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d) if flat else (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d)
        self.transposed, self.upsample, self.flat = (nn.ConvTranspose2d if flat else nn.ConvTranspose3d), upsample, flat

        def block(a, b):
            return nn.Sequential(conv(a, b, 3, padding=1), bn(b) if norm else nn.Identity(), nn.ReLU())

        self.down = nn.ModuleList([block(inputs, width), *(block(width, width) for _ in range(levels - 1))])
        self.middle = block(width, width)
        self.pool = pool(2)
        up = (lambda: self.transposed(width, width, 2, 2)) if upsample == "transposed" else (lambda: nn.Upsample(scale_factor=2))
        self.grow = nn.ModuleList([up() for _ in range(levels)])
        self.up = nn.ModuleList([block(2 * width, width) for _ in range(levels)])
        self.last = conv(width, outputs, 1)

    def forward(self, x):
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
            x = self.pool(x)
        x = self.middle(x)
        for grow, up in zip(self.grow, self.up, strict=True):
            x = up(torch.cat([kept.pop(), grow(x)], 1))
        return self.last(x)


class Dense(nn.Module):
    """Three convolutions and a residual, as denoisers have them."""

    def __init__(self, channels=1, width=8):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect"),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, width, 3, padding=1),
            nn.InstanceNorm2d(width, affine=True),
            nn.PReLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, x):
        return x + self.body(x)


class Valid(nn.Module):
    """Convolutions without padding: four pixels are lost on every side."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*(nn.Conv2d(1 if n == 0 else 6, 6, 3) for n in range(4)), nn.Conv2d(6, 1, 1))

    def forward(self, x):
        return self.body(x)


class Classifier(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.GELU(), nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.GELU())
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


class Positions(nn.Module):
    """Patches with a place each, as vision transformers have them: one size only."""

    def __init__(self, size=32, patch=8, width=16):
        super().__init__()
        self.embed = nn.Conv2d(1, width, patch, patch)
        self.places = nn.Parameter(torch.randn(1, width, size // patch, size // patch))
        self.grow = nn.ConvTranspose2d(width, 1, patch, patch)

    def forward(self, x):
        return self.grow(functional.gelu(self.embed(x) + self.places))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Unet(1, 3)

    def forward(self, x):
        y = self.net(x)
        return torch.sigmoid(y[:, :1]), y[:, 1:]


class Without(nn.Module):
    """No channel axis: (b, y, x)."""

    def __init__(self):
        super().__init__()
        self.net = Dense()

    def forward(self, x):
        return self.net(x[:, None])[:, 0]


class Last(nn.Module):
    """Channels last: (b, y, x, c)."""

    def __init__(self):
        super().__init__()
        self.net = Dense(2)

    def forward(self, x):
        return self.net(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Loop(nn.Module):
    """Decides in TorchScript itself how often it smooths."""

    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        times = 2 if x.shape[-1] > 20 else 1
        for _ in range(times):
            x = torch.tanh(self.net(x))
        return x

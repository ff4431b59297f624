"""Networks with Fourier transforms: shifts and frequencies of any size, and files with the numbers of PyTorch, in Python and in Java."""

import numpy as np
import pytest
import torch
from format_networks import make_image
from torch import fft, nn

from zooready import java
from zooready.errors import InputInvalid
from zooready.formats import forms, onnx, trials

SIZES = ((1, 1), (2, 5), (7, 13), (64, 64))
PLANE = (-2, -1)
HERE = {
    "shift": lambda x: fft.fftshift(x),
    "shift of an axis": lambda x: fft.fftshift(x, -1),
    "shift of a plane": lambda x: fft.fftshift(x, dim=PLANE),
    "shift back": lambda x: fft.ifftshift(x, PLANE),
    "shift there and back": lambda x: fft.ifftshift(fft.fftshift(x)),
    "shift of a spectrum": lambda x: fft.fftshift(fft.fft2(x), (2, 3)),
    "frequencies": lambda x: fft.fftfreq(x.shape[3]),
    "frequencies per micrometre": lambda x: fft.fftfreq(x.shape[3], d=0.1, dtype=torch.float64),
    "fft of lines, shorter and longer": lambda x: (fft.fft(x, 3), fft.ifft(x, 9, 2), fft.fft(x, dim=1, norm="forward")),
    "fft of planes": lambda x: (fft.fft2(x, norm="ortho"), fft.ifft2(fft.fft2(x) + 1j), fft.ifft2(x, norm="forward")),
    "fft of everything": lambda x: (fft.fftn(x), fft.ifftn(x, s=(4, 5)), fft.fftn(x, dim=(1, 2))),
    "half spectra": lambda x: (fft.rfft(x), fft.rfft2(x, s=(6, 7)), fft.rfftn(x, dim=(1, 3), norm="forward")),
    "of half spectra": lambda x: (
        *(fft.irfft(fft.fft(x), n, norm=norm) for n in (1, 6, 7, 2 * x.shape[3]) for norm in (None, "ortho", "forward")),
        fft.irfft2(fft.rfft2(x), s=x.shape[2:]),
        fft.irfftn(fft.rfftn(x, dim=(2, 1)), s=(x.shape[2], 3), dim=(2, 1)),
        fft.irfft2(torch.complex(x, -x).expand(2, 3, *x.shape[2:]).repeat(1, 1, 1, 2)),
    ),
    "frequencies of a half": lambda x: fft.rfftfreq(x.shape[3], 0.1),
}


@pytest.mark.parametrize("name", HERE)
def test_a_form_gives_the_numbers_of_the_operation(name):
    for size in SIZES:
        x = make_image(2, 3, *size, seed=3)
        expected = HERE[name](x)
        with forms.spectral():
            result = HERE[name](x)
        for got, want in zip(*((one if isinstance(one, tuple) else (one,)) for one in (result, expected)), strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            assert torch.allclose(got, want, rtol=1e-6, atol=2e-6 * float(want.abs().max())), size


class Step(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def low_pass(x):
    """A Gaussian in Fourier space, drawn for the image's size."""
    y_frequency, x_frequency = fft.fftfreq(x.shape[-2], device=x.device)[:, None], fft.rfftfreq(x.shape[-1], device=x.device)
    return fft.irfft2(fft.rfft2(x) * torch.exp(-20 * (y_frequency**2 + x_frequency**2)), s=x.shape[-2:])


def propagated(x):
    """A plane carried on by the angular spectrum, as networks for holograms do."""
    frequencies = torch.meshgrid(fft.fftfreq(x.shape[-2]), fft.fftfreq(x.shape[-1]), indexing="ij")
    phase = 9 * torch.sqrt(1 - frequencies[0] ** 2 - frequencies[1] ** 2)
    return fft.ifft2(fft.fft2(x) * torch.complex(phase.cos(), phase.sin())).abs()


def fourier_unit(x):
    """A block of LaMa and its like: real and imaginary parts as channels."""
    spectrum = fft.rfft2(x, norm="ortho")
    parts = torch.relu(torch.cat([spectrum.real, spectrum.imag], 1))
    return fft.irfft2(torch.complex(*parts.chunk(2, 1)), s=x.shape[-2:], norm="ortho")


def few_modes(x):
    """A layer of a Fourier neural operator: few modes kept, the others nought."""
    spectrum = nn.functional.pad(fft.rfft2(x), (0, 3, 0, 3))[..., :3, :3] * (0.5 + 0.2j)
    return fft.irfft2(nn.functional.pad(spectrum, (0, 40, 0, 40)), s=x.shape[-2:])


def few_modes_in_parts(x):
    spectrum = fft.rfft2(x)
    real, imaginary = (nn.functional.pad(part, (0, 3, 0, 3))[..., :3, :3] for part in (spectrum.real, spectrum.imag))
    real, imaginary = 0.5 * real - 0.2 * imaginary, 0.2 * real + 0.5 * imaginary
    return fft.irfft2(torch.complex(*(nn.functional.pad(part, (0, 40, 0, 40)) for part in (real, imaginary))), s=x.shape[-2:])


FILES = {
    "fft, ifft along x": lambda x: fft.ifft(fft.fft(x) * 0.5).real,
    "fft, ifft along y": lambda x: fft.ifft(fft.fft(x, dim=2, norm="ortho") * 0.5, dim=2, norm="ortho").real,
    "rfft, irfft": lambda x: fft.irfft(fft.rfft(x) * 0.5, n=x.shape[-1]),
    "fftn, ifftn, shifts": lambda x: fft.ifftn(fft.ifftshift(fft.fftshift(fft.fftn(x, dim=PLANE), PLANE) * 0.5, PLANE), dim=PLANE).real,
    "rfftn, irfftn": lambda x: fft.irfftn(fft.rfftn(x, dim=PLANE) * 0.5, s=x.shape[-2:], dim=PLANE),
    "shifted power": lambda x: torch.log1p(fft.fftshift(fft.fft2(x, norm="ortho").abs(), PLANE)),
    "low pass": low_pass,
    "propagation": propagated,
    "Fourier unit": fourier_unit,
    "few modes in parts": few_modes_in_parts,
}
NAMES = {"input_name": "image", "input_axes": "bcyx", "output_names": ["out"], "output_axes": ["bcyx"]}


@pytest.mark.java
@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("name", FILES)
def test_an_onnx_file_gives_the_numbers_of_the_network_in_python_and_in_java(name, tmp_path):
    network = Step(FILES[name]).eval()
    written = onnx.write(network, make_image(1, 2, 45, 62), tmp_path / "weights.onnx", **NAMES)
    assert written.details["exporter"] == "dynamo"
    images = [make_image(*shape, seed=5).numpy() for shape in ((1, 2, 8, 1), (3, 2, 9, 7), (2, 2, 37, 53), (1, 2, 101, 257))]
    run, elsewhere = onnx.start(written.path), java.run("onnx-1.12.1", written.path, images).outputs
    for image, (other,) in zip(images, elsewhere, strict=True):
        (expected,), (result,) = trials.eager(network, image), run(image)
        assert result.shape == other.shape == expected.shape
        for found in (result, other):
            assert np.abs(found - expected).max() <= 1e-4 * (np.ptp(expected) or 1), image.shape


def test_what_has_no_form_of_complex_numbers_is_told_with_a_cure_that_works(tmp_path):
    with pytest.raises(InputInvalid, match=r"complex-valued input\. Cure: .*real and imaginary parts .*torch\.complex") as error:
        onnx.write(Step(few_modes).eval(), make_image(1, 2, 45, 62), tmp_path / "weights.onnx", **NAMES)
    assert "replace the operators named" not in str(error.value)
    image = make_image(1, 2, 45, 62)  # "few modes in parts" above is the cure: the same numbers
    torch.testing.assert_close(few_modes_in_parts(image), few_modes(image), rtol=1e-4, atol=1e-3)

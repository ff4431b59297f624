"""Images go to disk and come back with axes and calibration; what cannot be used is refused with the reason and the cure."""

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from zooready.bundle.unpacking import unpack
from zooready.errors import BundleInvalid, InputInvalid
from zooready.images import files
from zooready.images.calibration import blurred
from zooready.images.files import read_image, write_image
from zooready.images.loading import as_image
from zooready.images.tiff import in_order
from zooready.records import Image

RNG = np.random.default_rng(0)


def noise(shape, dtype="uint16"):
    return RNG.integers(0, 250, shape).astype(dtype)


def saved(path, array, **how):
    tifffile.imwrite(path, array, **how)
    return path


# What is written comes back


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("yx", (5, 7)),
        ("yx", (1, 1)),
        ("cyx", (2, 5, 7)),
        ("zyx", (3, 5, 7)),
        ("tyx", (3, 5, 7)),
        ("tzcyx", (2, 3, 4, 5, 7)),
        ("cyx", (3, 5, 7)),
        ("cyx", (2, 1, 1)),
        ("zyx", (3, 1, 1)),
        ("tzcyx", (2, 3, 4, 1, 1)),
    ],
)
def test_a_written_image_comes_back_equal(tmp_path, axes, shape, dtype):
    names = tuple("abcd")[: shape[axes.index("c")]] if "c" in axes else ()
    image = Image(array=noise(shape, dtype), axes=axes, pixel_size_um=0.1083, z_um=0.3 if "z" in axes else None, channels=names)
    write_image(image, tmp_path / "a.tif")
    back = read_image(tmp_path / "a.tif")
    assert (back.axes, back.channels, back.array.dtype) == (axes, names, dtype)
    assert back.pixel_size_um == pytest.approx(0.1083, rel=1e-6)
    assert back.z_um == pytest.approx(image.z_um) if image.z_um else back.z_um is None
    assert np.array_equal(back.array, image.array)


@pytest.mark.parametrize("limit", [2**32, 1], ids=["ImageJ", "OME"])
def test_the_time_between_frames_comes_back(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(files, "IMAGEJ_BYTES", limit)
    image = Image(array=noise((3, 2, 5, 7)), axes="tcyx", pixel_size_um=0.1, frame_s=0.25)
    write_image(image, tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").frame_s == pytest.approx(0.25)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        stated = tiff.ome_metadata if tiff.is_ome else tiff.imagej_metadata
    assert 'TimeIncrement="0.25" TimeIncrementUnit="s"' in stated if limit == 1 else stated["finterval"] == 0.25
    write_image(replace(image, axes="zcyx"), tmp_path / "z.tif")
    assert read_image(tmp_path / "z.tif").frame_s is None


def test_times_of_other_programs_are_in_their_units(tmp_path):
    imagej = {"axes": "TYX", "finterval": 2.0, "tunit": "min"}
    tifffile.imwrite(tmp_path / "a.tif", noise((3, 5, 7)), imagej=True, metadata=imagej)
    ome = {"axes": "TYX", "TimeIncrement": 40.0, "TimeIncrementUnit": "ms"}
    tifffile.imwrite(tmp_path / "b.ome.tif", noise((3, 5, 7)), metadata=ome)
    assert [read_image(tmp_path / name).frame_s for name in ("a.tif", "b.ome.tif")] == pytest.approx([120.0, 0.04])


def test_a_distance_of_planes_comes_back_without_a_pixel_size(tmp_path):
    image = Image(array=noise((3, 4, 5)), axes="zyx", z_um=0.5)
    write_image(image, tmp_path / "a.tif")
    back = read_image(tmp_path / "a.tif")
    assert (back.pixel_size_um, back.z_um) == (None, 0.5)


def test_an_axis_may_have_a_unit_of_its_own_in_imagej(tmp_path):
    metadata = {"axes": "ZYX", "unit": "um", "yunit": "nm", "zunit": "nm", "spacing": 500.0}
    saved(tmp_path / "a.tif", noise((3, 4, 5)), imagej=True, resolution=(10, 0.01), metadata=metadata)
    image = read_image(tmp_path / "a.tif")
    assert (image.pixel_size_um, image.z_um) == (pytest.approx(0.1), 0.5)


def test_axes_in_another_order_are_written_in_imagejs_order(tmp_path):
    array = noise((5, 7, 3))
    write_image(Image(array=array, axes="yxc"), tmp_path / "a.tif")
    back = read_image(tmp_path / "a.tif")
    assert back.axes == "cyx"
    assert np.array_equal(back.array, array.transpose(2, 0, 1))
    assert in_order(array, "yxz")[1] == "zyx"


def test_an_image_without_calibration_comes_back_without(tmp_path):
    write_image(Image(array=noise((5, 7)), axes="yx"), tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").pixel_size_um is None


def test_the_same_image_gives_the_same_bytes(tmp_path):
    image = Image(array=noise((2, 5, 7)), axes="cyx", pixel_size_um=0.2, channels=("a", "b"))
    for name in ("a.tif", "b.tif"):
        write_image(image, tmp_path / name)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_a_path_with_spaces_and_umlauts_works(tmp_path):
    folder = tmp_path / "Zellkerne müde Größe"
    folder.mkdir()
    write_image(Image(array=noise((5, 7)), axes="yx"), folder / "Bild 1 – Übersicht.tif")
    assert read_image(folder / "Bild 1 – Übersicht.tif").array.shape == (5, 7)


def test_a_written_file_may_be_read_by_colleagues(tmp_path):
    write_image(Image(array=noise((5, 7)), axes="yx"), tmp_path / "a.tif")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "a.tif").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


# Calibration and names, as programs write them


@pytest.mark.parametrize(
    ("unit", "pixels_per_unit", "um"),
    [
        ("micron", 10, 0.1),
        ("um", 10, 0.1),
        ("\\u00B5m", 10, 0.1),
        ("\\u03BCm", 10, 0.1),
        ("nm", 0.01, 0.1),
        ("mm", 10_000, 0.1),
        ("inch", 254_000, 0.1),
    ]
    + [("pixel", 1, None), ("furlong", 1, None), ("inch", 72, None), ("micron", 0.01, 100.0)],
)
def test_imagej_units_become_micrometres(tmp_path, unit, pixels_per_unit, um):
    metadata = {"axes": "ZYX", "unit": unit, "spacing": 3 / pixels_per_unit}
    path = saved(tmp_path / "a.tif", noise((3, 5, 7)), imagej=True, resolution=(pixels_per_unit,) * 2, metadata=metadata)
    image = read_image(path)
    assert image.pixel_size_um == (um and pytest.approx(um, rel=1e-6))
    assert image.z_um == (um and pytest.approx(3 * um, rel=1e-6))


@pytest.mark.parametrize("unit", ["\u00b5m", "\u03bcm", "um"])
def test_ome_units_may_have_either_letter_for_micro(tmp_path, unit):
    metadata = {"axes": "YX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    path = saved(tmp_path / "a.ome.tif", noise((5, 7)), metadata={**metadata})
    assert read_image(path).pixel_size_um == pytest.approx(0.1)


def test_planes_taken_downwards_have_a_distance(tmp_path):
    metadata = {"axes": "ZYX", "unit": "micron", "spacing": -0.3}
    image = read_image(saved(tmp_path / "a.tif", noise((3, 5, 7)), imagej=True, resolution=(10, 10), metadata=metadata))
    assert (image.pixel_size_um, image.z_um) == (pytest.approx(0.1), pytest.approx(0.3))


@pytest.mark.parametrize(
    ("calibration", "dtype", "stored", "shown", "becomes"),
    [
        ({"cf": 0, "c0": -32768.0, "c1": 1.0}, "uint16", [0, 32763, 32768, 65535], [-32768, -5, 0, 32767], "int16"),
        ({"cf": 0, "c0": 10.0, "c1": 2.5}, "uint8", [0, 1, 4, 255], [10, 12.5, 20, 647.5], "float32"),
        ({"cf": 0, "c0": 10.0}, "uint8", [0, 1, 4, 255], [0, 1, 4, 255], "uint8"),
        ({"cf": 20}, "uint8", [0, 1, 4, 255], [0, 1, 4, 255], "uint8"),
        ({"cf": 0, "c0": -32768.0, "c1": 1.0}, "float32", [0, 1, 4, 255], [0, 1, 4, 255], "float32"),
    ],
)
def test_calibrated_pixels_are_read_as_imagej_shows_them(tmp_path, calibration, dtype, stored, shown, becomes):
    array = np.array([stored], dtype)
    image = read_image(saved(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "YX", "vunit": "OD", **calibration}))
    assert image.array.dtype == becomes
    assert image.array.tolist() == [shown]


def test_a_calibration_without_a_unit_is_ignored_as_imagej_does(tmp_path):
    array = np.array([[0, 1, 4, 255]], np.uint8)
    path = saved(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "YX", "cf": 0, "c0": 10.0, "c1": 2.5})
    assert np.array_equal(read_image(path).array, array)


def test_a_curve_of_calibration_is_refused_with_the_cure(tmp_path):
    path = saved(tmp_path / "a.tif", noise((5, 7)), imagej=True, metadata={"axes": "YX", "cf": 21, "vunit": "OD"})
    with pytest.raises(InputInvalid, match=r"a.tif is calibrated by a curve \(ImageJ's function 21\).*Image > Type > 32-bit"):
        read_image(path)


@pytest.mark.parametrize(
    ("unit", "per_unit", "um"), [("CENTIMETER", 100_000, 0.1), ("INCH", 254_000, 0.1), ("INCH", 300, None), ("NONE", 10, None)]
)
def test_resolution_tags_of_a_plain_tiff_count_unless_they_are_for_a_printer(tmp_path, unit, per_unit, um):
    path = saved(tmp_path / "a.tif", noise((5, 7)), resolution=(per_unit, per_unit), resolutionunit=unit)
    assert read_image(path).pixel_size_um == (um and pytest.approx(um, rel=1e-6))


def test_an_ome_tiff_gives_axes_sizes_and_channel_names(tmp_path):
    metadata = {
        "axes": "ZCYX",
        "PhysicalSizeX": 100.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.1,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 0.3,
    }
    array = noise((3, 2, 5, 7))
    image = read_image(saved(tmp_path / "a.ome.tif", array, metadata=metadata | {"Channel": {"Name": ["DAPI", "GFP"]}}))
    assert (image.axes, image.channels) == ("zcyx", ("DAPI", "GFP"))
    assert (image.pixel_size_um, image.z_um) == (pytest.approx(0.1), pytest.approx(0.3))
    assert np.array_equal(image.array, array)


OPTICS = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Instrument ID="Instrument:0"><Objective ID="Objective:0" LensNA="0.5"/>{further}</Instrument>
<Image ID="Image:0">{settings}<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="7" SizeY="5" SizeC="2" SizeZ="1" SizeT="1"
PhysicalSizeX="0.1" PhysicalSizeY="0.1"><Channel ID="Channel:0:0" EmissionWavelength="500"/><Channel ID="Channel:0:1" {second}/>
<TiffData IFD="0" PlaneCount="2"/></Pixels></Image></OME>"""
OTHER, SETTINGS = '<Objective ID="Objective:1" LensNA="1.4"/>', '<ObjectiveSettings ID="Objective:1"/>'
RED = 'EmissionWavelength="0.7" EmissionWavelengthUnit="µm"'


@pytest.mark.parametrize(
    ("further", "settings", "second", "blurs_um"),
    [
        ("", "", RED, (1.0, 1.4)),
        (OTHER, SETTINGS, RED, (0.5 / 1.4, 0.5)),
        (OTHER, "", RED, ()),  # nobody says which objective
        ("", "", "", ()),
        ("", "", 'EmissionWavelength="0"', ()),
        ('<Objective ID="Objective:1" LensNA="100"/>', SETTINGS, RED, ()),
        ('<Objective ID="Objective:1" LensNA="oil"/>', SETTINGS, RED, ()),
    ],
)
def test_an_ome_tiff_gives_wavelength_over_na_of_each_channel_if_it_states_all(tmp_path, further, settings, second, blurs_um):
    description = OPTICS.format(further=further, settings=settings, second=second).encode()
    path = saved(tmp_path / "a.ome.tif", noise((2, 5, 7)), description=description, metadata=None, photometric="minisblack")
    assert read_image(path).blurs_um == pytest.approx(blurs_um)


@pytest.mark.parametrize(
    ("blurs_um", "allowed", "words"),
    [
        ((0.5,), (4, 16), "wavelength / (NA x pixel size), is 5 px: inside the 4 to 16 px that the network was made for."),
        ((0.5, 1.6), (4, 16), "is 5 to 16 px: inside"),
        ((0.3, 1.6), (4, 16), "is 3 to 16 px: outside the 4 to 16 px that the network was made for. The result may be worse"),
        ((1.7,), (4, 16), "is 17 px: outside"),
    ],
)
def test_the_blur_of_an_image_is_compared_with_those_of_the_network(blurs_um, allowed, words):
    assert words in blurred(blurs_um, 0.1, allowed)


def test_nothing_is_said_of_a_blur_that_is_unknown():
    assert blurred((), 0.1, (4, 16)) == blurred((0.5,), None, (4, 16)) == blurred((0.5,), 0.1, None) == ""


def test_pixels_that_are_not_square_are_refused(tmp_path):
    path = saved(tmp_path / "a.tif", noise((5, 7)), imagej=True, resolution=(10, 5), metadata={"unit": "um"})
    with pytest.raises(InputInvalid, match=r"pixels of 0.1 x 0.2 µm: networks need square ones.*Image > Scale"):
        read_image(path)


def test_an_axis_without_a_name_is_refused_unless_the_caller_names_it(tmp_path):
    path = saved(tmp_path / "a.tif", noise((4, 5, 7)), photometric="minisblack")
    with pytest.raises(InputInvalid, match=r"does not say what its axes are \(Q of length 4\).*Image > Properties"):
        read_image(path)
    assert read_image(path, axes="tyx").axes == "tyx"
    for axes in ("zzyx", "yx", "yyx", "qyx"):
        with pytest.raises(InputInvalid, match=rf"axes '{axes}' do not fit .*shape \(4, 5, 7\): give 3 different letters"):
            read_image(path, axes=axes)


# Colour and odd pixels


def test_colour_becomes_named_channels_and_alpha_is_dropped(tmp_path):
    array = noise((5, 7, 4), "uint8")
    paths = [saved(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["unassalpha"]), tmp_path / "a.png"]
    PIL.Image.fromarray(array, "RGBA").save(paths[1])
    for path in paths:
        image = read_image(path)
        assert (image.axes, image.channels) == ("cyx", ("red", "green", "blue"))
        assert np.array_equal(image.array, array[..., :3].transpose(2, 0, 1))


def test_a_colour_stack_of_imagej_keeps_its_planes(tmp_path):
    array = noise((4, 5, 7, 3), "uint8")
    image = read_image(saved(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "ZYXS"}))
    assert image.axes == "zcyx"
    assert np.array_equal(image.array, array.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_pngs_keep_their_depth(tmp_path, dtype):
    array = noise((5, 7), dtype) * (1 if dtype == "uint8" else 257)
    PIL.Image.fromarray(array).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert (image.axes, image.array.dtype, image.pixel_size_um) == ("yx", dtype, None)
    assert np.array_equal(image.array, array)


def test_a_jpeg_is_read_whatever_its_name(tmp_path):
    PIL.Image.fromarray(np.full((16, 16), 80, "uint8")).save(tmp_path / "a.tif", format="JPEG")
    assert (read_image(tmp_path / "a.tif").array == 80).all()


def test_a_16_bit_colour_png_is_refused_because_pillow_halves_its_depth(tmp_path):
    PIL.Image.fromarray(noise((5, 7, 3), "uint8")).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[24] = 16
    content[29:33] = _crc(content[12:29])
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputInvalid, match="16-bit colour PNG, which can only be read with 8 bits: save it as TIFF"):
        read_image(tmp_path / "a.png")


def _crc(chunk):
    import zlib

    return zlib.crc32(bytes(chunk)).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("dtype", "becomes"), [("bool", "uint8"), ("float16", "float32"), (">u2", "uint16"), ("int32", "int32"), ("float64", "float64")]
)
def test_dtypes_become_what_networks_and_imagej_know(tmp_path, dtype, becomes):
    array = (noise((5, 7)) > 100).astype(dtype)
    back = read_image(saved(tmp_path / "a.tif", array)).array
    assert back.dtype == becomes
    assert back.dtype.isnative
    assert np.array_equal(back, array * (255 if dtype == "bool" else 1))


def test_complex_pixels_are_refused(tmp_path):
    with pytest.raises(InputInvalid, match="complex64 pixels: save it in Fiji as 8-bit, 16-bit or 32-bit"):
        read_image(saved(tmp_path / "a.tif", np.ones((5, 7), "complex64")))


def test_nan_and_infinity_are_counted_and_placed(tmp_path):
    array = np.zeros((2, 5, 7), "float32")
    array[1, 2, 3], array[1, 4, 6] = np.nan, np.inf
    path = saved(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputInvalid, match=r"2 pixels of NaN or infinity, the first at z 1, y 2, x 3: replace them"):
        read_image(path)


def test_values_beyond_float32_are_refused_wherever_an_image_is_read(tmp_path):
    """A check made infinity of them, and compared the programs on it."""
    path = saved(tmp_path / "a.tif", np.array([[0, -1e39], [1, 2]]))
    for read in (read_image, as_image):
        with pytest.raises(InputInvalid, match=r"a.tif has values beyond 3.4e38, which float32 does not hold: divide them"):
            read(path)
    with pytest.raises(InputInvalid, match=r"the image has values beyond 3.4e38"):
        as_image(np.array([[1e300]]))
    assert read_image(saved(tmp_path / "b.tif", np.array([[0, 3.4e38]]))).array.dtype == np.float64


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_black_constant_and_saturated_images_are_images(tmp_path, value):
    assert (read_image(saved(tmp_path / "a.tif", np.full((5, 7), value, "uint16"))).array == value).all()


def test_inverted_tiffs_are_refused(tmp_path):
    with pytest.raises(InputInvalid, match=r"stored inverted \(zero is white\).*Invert LUT"):
        read_image(saved(tmp_path / "a.tif", noise((5, 7)), photometric="miniswhite"))


def test_a_file_of_several_images_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise((5, 7)))
        writer.write(noise((9, 9)))
    with pytest.raises(InputInvalid, match=r"holds 2 images \(sizes \(5, 7\), \(9, 9\)\): save the one you want"):
        read_image(tmp_path / "a.tif")


def test_planes_that_were_appended_are_a_stack_whose_axis_has_to_be_named(tmp_path):
    planes = noise((3, 5, 7))
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in planes:
            writer.write(plane, contiguous=False)
    image = read_image(tmp_path / "a.tif", axes="zyx")
    assert image.axes == "zyx"
    assert np.array_equal(image.array, planes)
    with pytest.raises(InputInvalid, match=r"does not say what its axes are \(Q of length 3\).* e.g. axes 'zyx'"):
        read_image(tmp_path / "a.tif")


def test_five_samples_that_call_themselves_colour_are_five_channels(tmp_path):
    samples = noise((5, 7, 5))
    image = read_image(saved(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["unspecified"] * 2))
    assert (image.axes, image.channels) == ("cyx", ())
    assert np.array_equal(image.array, np.moveaxis(samples, -1, 0))


@pytest.mark.parametrize(("photometric", "samples", "name"), [("separated", 4, r"print \(CMYK\)"), ("cielab", 3, r"L\*a\*b\*")])
def test_colours_of_print_are_refused(tmp_path, photometric, samples, name):
    path = saved(tmp_path / "a.tif", noise((5, 7, samples)).astype(np.uint8), photometric=photometric)
    with pytest.raises(InputInvalid, match=f"has the colours of {name}.*: save it as RGB"):
        read_image(path)


@pytest.mark.filterwarnings("ignore:.*writing zero-size array:UserWarning")
def test_a_tiff_without_pixels_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match=r"has no pixels \(shape \(0, 9\)\)"):
        read_image(saved(tmp_path / "a.tif", np.zeros((0, 9), "uint8")))


# Files that are not there, or not images


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"CZI file", "is not a TIFF, PNG or JPEG .*open it in Fiji"),
        (b"II*\0", r"damaged or cut off"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
    ],
)
def test_files_that_are_no_images_are_refused(tmp_path, content, match):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputInvalid, match=match):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            b"\xd0\xcf\x11\xe0" + b"\0" * 12,
            r"an OIB file of Olympus or a ZVI file of Zeiss, which is not read here: .*Bio-Formats Importer.*bfconvert IN OUT_%s",
        ),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 8, "HDF5, as Imaris and ilastik write it, .*: export it as TIFF"),
        (b"\x93NUMPY\1\0", r"an array of NumPy, .*: write it as TIFF with tifffile.imwrite"),
    ],
)
def test_files_of_microscopes_are_named_with_how_to_convert_them(tmp_path, start, message):
    (tmp_path / "a.dat").write_bytes(start)
    with pytest.raises(InputInvalid, match=message):
        read_image(tmp_path / "a.dat")


def test_a_plain_stack_is_read_with_the_axes_that_the_caller_names(tmp_path):
    stack = noise((3, 5, 7))
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for plane in stack:
            tiff.write(plane, contiguous=False, metadata=None)
    with pytest.raises(InputInvalid, match="does not say what its axes are .* or name them, e.g. axes 'zyx'"):
        read_image(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif", axes="zyx")
    assert (image.axes, image.array.tolist()) == ("zyx", stack.tolist())


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputInvalid, match="there is no such file. Check the name"):
        read_image(tmp_path / "none.tif")
    with pytest.raises(InputInvalid, match="is a folder, not an image"):
        read_image(tmp_path)


def test_a_file_without_read_permission_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.tif", noise((5, 7)))

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputInvalid, match="cannot read .*Permission denied. Check the file's permissions"):
        read_image(path)


@pytest.mark.parametrize("kind", ["imagej", "pages", "zlib", "png"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_an_image_that_is_cut_off_is_refused_and_never_read_in_part(tmp_path, kind, part):
    array = noise((6, 40, 50))
    if kind == "png":
        PIL.Image.fromarray(noise((200, 200), "uint8")).save(tmp_path / "a.tif", format="PNG")
    elif kind == "imagej":
        saved(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "ZYX"})
    else:
        saved(tmp_path / "a.tif", array, metadata=None, photometric="minisblack", compression="zlib" if kind == "zlib" else None)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputInvalid, match=r"damaged[ ,]"):
        read_image(tmp_path / "a.tif", axes=None if kind in ("imagej", "png") else "zyx")


@pytest.mark.parametrize(
    ("compression", "match"),
    [
        (None, r"cut off: it states 2000000 x 2000000 px, which take 8,000,000,000,000 bytes, and has 2\d\d. Copy"),
        ("zlib", r"cut off: it states more pixels than fit into memory, and has 2\d\d bytes. Copy"),
    ],
)
def test_a_small_file_that_states_a_large_image_is_cut_off_and_not_too_large(tmp_path, compression, match):
    path = saved(tmp_path / "a.tif", noise((4, 4)), metadata=None, compression=compression)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tiff.pages[0].tags[tag].overwrite(2_000_000)
    with pytest.raises(InputInvalid, match=match):
        read_image(path)


def test_a_plane_without_bytes_is_empty_and_not_cut_off(tmp_path):
    path = saved(tmp_path / "a.tif", np.ones((64, 64), "uint16"), metadata=None, tile=(16, 16))
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for tag in ("TileOffsets", "TileByteCounts"):
            tiff.pages[0].tags[tag].overwrite([0] * 16)
    path.write_bytes(path.read_bytes()[:800])
    assert not read_image(path).array.any()


def test_a_stack_that_names_more_planes_than_it_holds_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number, plane in enumerate(noise((3, 8, 8))):
            description = "ImageJ=1.54f\nimages=5\nslices=5\n" if number == 0 else None
            writer.write(plane, description=description, metadata=None, contiguous=False)
    with pytest.raises(InputInvalid, match="names 5 planes and holds 3: planes are missing. Copy or save it again"):
        read_image(tmp_path / "a.tif")


def test_an_ome_tiff_whose_other_files_are_gone_is_refused(tmp_path):
    path = saved(tmp_path / "a.ome.tif", noise((2, 5, 7)), metadata={"axes": "ZYX"})
    content = path.read_bytes()
    assert content.count(b'SizeZ="2"') == 1
    path.write_bytes(content.replace(b'SizeZ="2"', b'SizeZ="3"').replace(b'PlaneCount="2"', b'PlaneCount="3"'))
    with pytest.raises(InputInvalid, match="others are missing|damaged or cut off"):
        read_image(path)


# Writing that fails leaves nothing behind


IMAGE = Image(array=noise((50, 70)), axes="yx")


def test_a_dtype_that_imagej_does_not_know_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match="int64 pixels: ImageJ reads uint8, uint16, float32. Convert first"):
        write_image(Image(array=np.zeros((5, 7), "int64"), axes="yx"), tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputInvalid, match="cannot write .*No such file or directory.*Make the folder first"):
        write_image(IMAGE, tmp_path / "none" / "a.tif")


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputInvalid, match="cannot write .*Not a directory"):
        write_image(IMAGE, tmp_path / "file" / "a.tif")


def test_no_write_permission_is_explained(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputInvalid, match="cannot write .*Permission denied. Nothing was left behind.*folder that you may write to"):
        write_image(IMAGE, tmp_path / "a.tif")


def test_a_full_disk_leaves_nothing_and_keeps_the_old_file(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a.tif").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(InputInvalid, match="cannot write .*No space left on device. Nothing was left behind. Free space"):
        write_image(IMAGE, tmp_path / "a.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert (tmp_path / "a.tif").read_bytes() == b"old"


def test_a_disk_that_fills_while_pixels_are_written_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of file sizes are a matter of Unix")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(InputInvalid, match="cannot write .*Nothing was left behind. Free space"):
            write_image(IMAGE, tmp_path / "a.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        args[0].write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(tifffile, "imwrite", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_image(IMAGE, tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())


OME = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0"
DimensionOrder="XYCZT" Type="uint16" SizeX="24" SizeY="20" SizeC="1" SizeZ="{planes}" SizeT="1">{files}</Pixels></Image></OME>"""
ELSEWHERE = '<TiffData FirstZ="{z}" IFD="0"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'


@pytest.mark.parametrize("name", ["b.ome.tif", "/etc/passwd"])
def test_planes_of_an_ome_tiff_that_are_in_other_files_are_missed(tmp_path, name):
    stored = np.arange(480, dtype=np.uint16).reshape(20, 24)
    for planes in (1, 2):
        files = "".join(ELSEWHERE.format(z=z, name=name) for z in range(planes)) if planes > 1 else "<TiffData/>"
        tifffile.imwrite(tmp_path / f"{planes}.ome.tif", stored, description=OME.format(planes=planes, files=files), metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "1.ome.tif").array, stored)
    with pytest.raises(InputInvalid, match="one of several files of an OME-TIFF, and others are missing"):
        read_image(tmp_path / "2.ome.tif")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have a name")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(InputInvalid, match="pipe.tif is a pipe or a device, not a file"):
        read_image(tmp_path / "pipe.tif")
    with pytest.raises(BundleInvalid, match="pipe.tif is a pipe or a device, not a file"):
        unpack(tmp_path / "pipe.tif", tmp_path)


def test_a_file_that_holds_more_planes_than_it_states_is_refused(tmp_path):
    stack = np.arange(4 * 6 * 7, dtype=np.uint16).reshape(4, 6, 7)
    whole = tmp_path / "whole.ome.tif"
    tifffile.imwrite(whole, stack, ome=True, metadata={"axes": "ZYX"}, photometric="minisblack")
    text = tifffile.TiffFile(whole).ome_metadata.replace('SizeZ="4"', 'SizeZ="2"').encode()
    tifffile.imwrite(tmp_path / "lies.ome.tif", stack, description=text, metadata=None, photometric="minisblack")
    with tifffile.TiffWriter(tmp_path / "lies.tif") as tiff:
        for number, plane in enumerate(stack):
            stated = "" if number else "ImageJ=1.53t\nimages=2\nslices=2\n"
            tiff.write(plane, contiguous=False, metadata=None, description=stated, photometric="minisblack")
    for name in ("lies.ome.tif", "lies.tif"):
        with pytest.raises(InputInvalid, match=r"holds 4 planes and says that there are 2, so that others would be left out"):
            read_image(tmp_path / name)
    assert read_image(whole).array.shape == (4, 6, 7)


def test_smaller_copies_in_a_file_are_no_planes(tmp_path):
    image = np.arange(80 * 96, dtype=np.uint16).reshape(80, 96)
    with tifffile.TiffWriter(tmp_path / "copies.tif") as tiff:
        tiff.write(image, subifds=1, tile=(16, 16))
        tiff.write(image[::2, ::2], subfiletype=1, tile=(16, 16))
    with tifffile.TiffWriter(tmp_path / "preview.tif") as tiff:
        tiff.write(image)
        tiff.write(image[::2, ::2], subfiletype=1)
    for name in ("copies.tif", "preview.tif"):
        assert np.array_equal(read_image(tmp_path / name).array, image)


def test_a_tiff_without_an_image_is_said_to_have_none(tmp_path):
    (tmp_path / "none.tif").write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(InputInvalid, match="is a TIFF without an image"):
        read_image(tmp_path / "none.tif")


def test_the_colours_of_print_in_a_jpeg_are_refused(tmp_path):
    PIL.Image.fromarray(np.full((6, 7, 4), 90, np.uint8), "CMYK").save(tmp_path / "print.jpg")
    with pytest.raises(InputInvalid, match=r"has the colours of print \(CMYK\)"):
        read_image(tmp_path / "print.jpg")

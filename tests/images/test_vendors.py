"""Files of microscopes: pixels, axes, calibration and blur of each image inside; without the packages, what to install."""

import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from vendor_files import write_czi, write_lif, write_nd2

from zooready.errors import InputInvalid
from zooready.images import czi_files, lif_files, scenes, vendors
from zooready.images.files import read_image, read_mask
from zooready.images.mapped import is_mapped


def counts(*shape):
    return np.random.default_rng(0).integers(0, 60000, shape).astype(np.uint16)


def has_scenes():
    czifile = pytest.importorskip("czifile", reason="czifile is not here: pip install 'zooready[microscopes]'")
    if not hasattr(czifile.CziFile, "scenes"):
        pytest.skip("this czifile knows no scenes: it needs Python 3.12")


@pytest.fixture
def nd2(tmp_path):
    pytest.importorskip("nd2", reason="nd2 is not here: pip install 'zooready[microscopes]'")

    def written(array, **facts):
        write_nd2(tmp_path / "recording.nd2", array, **facts)
        return tmp_path / "recording.nd2"

    return written


@pytest.fixture
def lif(tmp_path):
    pytest.importorskip("liffile", reason="liffile is not here: pip install 'zooready[microscopes]'")

    def written(series, **facts):
        write_lif(tmp_path / "recording.lif", series, **facts)
        return tmp_path / "recording.lif"

    return written


@pytest.fixture
def czi(tmp_path):
    has_scenes()

    def written(scenes, **facts):
        write_czi(tmp_path / "recording.czi", scenes, **facts)
        return tmp_path / "recording.czi"

    return written


def test_positions_of_nikon_have_axes_calibration_and_blur(nd2):
    array = counts(2, 3, 4, 5, 7, 2)  # position, t, z, y, x, c
    path = nd2(array, positions=("left", "right"), z_um=0.3, side_um=0.1, na=1.4, channels=(("DAPI", 461.0), ("GFP", 520.0)))
    for name, number in (("left", 0), ("right", 1), ("2", 1)):
        image = read_image(path / name)
        np.testing.assert_array_equal(image.array, array[number].transpose(0, 1, 4, 2, 3))
        assert (image.axes, image.channels) == ("tzcyx", ("DAPI", "GFP"))
        assert (image.pixel_size_um, image.z_um) == pytest.approx((0.1, 0.3))
        assert image.blurs_um == pytest.approx((0.461 / 1.4, 0.520 / 1.4))
        assert image.frame_s == pytest.approx(0.001)  # the file's dPeriod of 1 ms


def test_the_time_between_frames_of_leica_is_the_series_over_its_steps():
    dimension = '<DimensionDescription DimID="{}" NumberOfElements="5" Length="{}" Unit="{}"/>'
    for axis, length, unit, expected in (("4", "8", "s", 2.0), ("4", "400", "ms", 0.1), ("3", "8", "m", None), ("4", "0", "s", None)):
        inside = dimension.format(axis, length, unit)
        xml = f"<Element><Data><Image><ImageDescription><Dimensions>{inside}</Dimensions></ImageDescription></Image></Data></Element>"
        assert lif_files._frame_s(ElementTree.fromstring(xml)) == expected


SPAN = "<Interval><TimeSpan><Value>{}</Value><DefaultUnitFormat>{}</DefaultUnitFormat></TimeSpan></Interval>"
RECORDED = "<Information><Image><Dimensions><T><Positions><Interval><Increment>2.5</Increment></Interval></Positions></T></Dimensions>"


@pytest.mark.parametrize(
    ("recorded", "spans", "expected"),
    [
        (f"{RECORDED}</Image></Information>", [("400", "ms")], 2.5),
        ("", [("400", "ms")], 0.4),
        ("", [("4", "s"), ("4", "s")], 4.0),
        ("", [("4", "s"), ("8", "s")], None),
        ("", [("2", "min")], None),
        ("", [("0", "ms")], None),
        ("", [], None),
    ],
)
def test_the_time_between_frames_of_zeiss_is_as_recorded_or_as_asked_for(recorded, spans, expected):
    asked_for = "".join(f"<TimeSeriesSetup>{SPAN.format(*span)}</TimeSeriesSetup>" for span in spans)
    root = ElementTree.fromstring(f"<ImageDocument><Metadata>{recorded}<Experiment>{asked_for}</Experiment></Metadata></ImageDocument>")
    assert czi_files._frame_s(root) == expected


def test_time_series_of_zeiss_say_the_time_between_frames(czi):
    array = counts(3, 1, 1, 5, 7)  # t, c, z, y, x
    image = read_image(czi({"A1": array}, frame_s=2.5))
    assert (image.axes, image.frame_s) == ("tyx", 2.5)
    np.testing.assert_array_equal(image.array, array[:, 0, 0])


def test_pixels_of_leica_stay_in_the_file(lif, monkeypatch):
    monkeypatch.setattr(scenes, "LAZY_BYTES", 1)
    array = counts(2, 3, 5, 7)
    path = lif({"other": array[:1], "cell": array})
    image = read_image(path / "cell", lazily=True)
    np.testing.assert_array_equal(image.array, array.transpose(1, 0, 2, 3))
    mapping = image.array
    while not isinstance(mapping, np.memmap):
        mapping = mapping.base
    assert (mapping.filename, mapping.mode) == (str(path), "r")


def test_positions_without_a_name_are_called_by_their_number(nd2):
    array = counts(3, 1, 1, 5, 7, 1)
    path = nd2(array, positions=("", "", ""))
    np.testing.assert_array_equal(read_image(path / "Position 3").array, array[2, 0, 0, :, :, 0])
    with pytest.raises(InputInvalid, match=r"holds 3 images: 'Position 1' \(7 x 5\), .*recording.nd2/Position 1', or by its number"):
        read_image(path)


def test_series_of_leica_have_axes_calibration_and_blur(lif):
    array = counts(2, 3, 5, 7)  # c, z, y, x
    image = read_image(lif({"cell": array, "small": array[:1, :1]}, side_um=0.2, z_um=0.5, na=1.2) / "cell")
    np.testing.assert_array_equal(image.array, array.transpose(1, 0, 2, 3))
    assert (image.axes, image.channels) == ("zcyx", ("Blue", "Green"))
    assert (image.pixel_size_um, image.z_um) == pytest.approx((0.2, 0.5))
    assert image.blurs_um == pytest.approx((0.461 / 1.2, 0.520 / 1.2))


def test_scenes_of_zeiss_have_axes_calibration_and_blur(czi):
    array = counts(2, 3, 5, 7)
    path = czi({"A1": array, "A2": array[:, :1]}, side_um=0.2, z_um=0.5, na=1.2)
    image, plane = read_image(path / "A1"), read_image(path / "A2")
    np.testing.assert_array_equal(image.array, array.transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(plane.array, array[:, 0])
    assert (image.axes, plane.axes, image.channels) == ("zcyx", "cyx", ("DAPI", "GFP"))
    assert (image.pixel_size_um, image.z_um) == pytest.approx((0.2, 0.5))
    assert image.blurs_um == pytest.approx((0.461 / 1.2, 0.520 / 1.2))


def test_the_only_image_needs_no_name(lif, monkeypatch):
    array = counts(1, 1, 5, 7)
    path = lif({"cell": array})
    monkeypatch.setattr(scenes, "LAZY_BYTES", 1)
    image = read_image(path, lazily=True)
    assert is_mapped(image.array)
    assert not is_mapped(read_image(path).array)
    np.testing.assert_array_equal(image.array, array[0, 0])
    np.testing.assert_array_equal(read_mask(path).array, array[0, 0])


def test_several_images_are_listed_and_a_name_that_is_none_too(lif):
    path = lif({"cell": counts(2, 3, 5, 7), "other": counts(1, 1, 4, 4)})
    with pytest.raises(InputInvalid, match=r"holds 2 images: 'cell' \(7 x 5, c 2, z 3\), 'other' \(4 x 4\)\. Give one of them: name one"):
        read_image(path)
    with pytest.raises(InputInvalid, match=r"holds no image 'third': it holds 'cell'"):
        read_image(path / "third")


def test_axes_that_no_image_has_are_refused(tmp_path):
    made = scenes.Scene(name="spectrum", sizes={"λ": 5, "y": 2, "x": 3}, dtype=np.dtype("u2"), fill=lambda array: None)
    with pytest.raises(
        InputInvalid, match="'spectrum' in .* has Λ of length 5, and what is read here has t, z, c, y and x: open it in Fiji"
    ):
        scenes.as_image(made, tmp_path / "a.lif", lazily=False)


def test_colour_is_red_green_and_blue(tmp_path):
    def fill(array):
        array[...] = np.arange(4)

    made = scenes.Scene(name="stained", sizes={"y": 2, "x": 3, "s": 4}, dtype=np.dtype("u1"), fill=fill)
    image = scenes.as_image(made, tmp_path / "a.czi", lazily=False)
    assert (image.axes, image.channels) == ("cyx", ("red", "green", "blue"))
    assert image.array[:, 0, 0].tolist() == [0, 1, 2]
    many = scenes.Scene(name="stained", sizes={"c": 2, "y": 2, "x": 3, "s": 3}, dtype=np.dtype("u1"), fill=fill)
    with pytest.raises(InputInvalid, match="has several channels in colour"):
        scenes.as_image(many, tmp_path / "a.czi", lazily=False)


def test_two_images_of_one_name_are_told_by_their_number(tmp_path):
    alike = [scenes.Scene(name="cell", sizes={}, dtype=np.dtype("u1"), fill=lambda array: None) for _ in range(2)]
    with pytest.raises(InputInvalid, match="has 2 images of the name 'cell'"):
        scenes.chosen(alike, "cell", tmp_path / "a.lif")
    assert scenes.chosen(alike, "2", tmp_path / "a.lif") is alike[1]
    with pytest.raises(InputInvalid, match="holds no image: open it in the microscope's program"):
        scenes.chosen([], "", tmp_path / "a.lif")


def test_a_recording_that_was_stopped_is_refused(nd2):
    with pytest.raises(InputInvalid, match="names 3 planes and holds 2: the recording was stopped"):
        read_image(nd2(counts(1, 3, 1, 5, 7, 1), sequence=2))


@pytest.mark.parametrize("kind", ["nd2", "lif"])
def test_a_damaged_file_is_refused(kind, request):
    path = request.getfixturevalue(kind)({"cell": counts(1, 1, 5, 7)} if kind == "lif" else counts(1, 1, 1, 5, 7, 1))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputInvalid, match=rf"recording.{kind} is damaged or cut off \(.*: copy or save it again"):
        read_image(path)


@pytest.mark.parametrize(
    ("head", "package", "words"),
    [
        (b"ZISRAWFILE", "czifile", "a CZI file of Zeiss, and the package czifile of 2026 or newer, for Python 3.12 and newer, is not here"),
        (b"\xda\xce\xbe\x0a1234", "nd2", "an ND2 file of Nikon, and the package nd2 is not here"),
        (b"\x70\0\0\0" + b"1234", "liffile", "a LIF file of Leica, and the package liffile is not here"),
    ],
)
def test_without_the_packages_the_message_says_what_to_install(head, package, words, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "image.any").write_bytes(head)
    cure = r": pip install 'zooready\[microscopes\]'\. Or open it in Fiji with Plugins > Bio-Formats"
    with pytest.raises(InputInvalid, match=words + cure):
        read_image(tmp_path / "image.any")


def test_an_image_inside_another_file_is_refused(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", counts(5, 7))
    with pytest.raises(InputInvalid, match=r"a.tif is one image, and holds no 'Position 3': give the file itself"):
        read_image(tmp_path / "a.tif" / "Position 3")


def test_results_are_called_by_the_file_and_the_image_inside(tmp_path):
    (tmp_path / "recording.lif").write_bytes(b"")
    assert vendors.stem(tmp_path / "recording.lif" / "group" / "cell 1.5") == "recording_group_cell 1.5"
    assert vendors.stem(tmp_path / "recording.lif") == "recording"
    assert [vendors.stem(tmp_path / name) for name in ("a.ome.tif", "a.b.OME.TIFF", "a.ome.zarr")] == ["a", "a.b", "a"]
    assert vendors.within(tmp_path / "other.lif") == (tmp_path / "other.lif", "")

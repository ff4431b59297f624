"""``zooready simulate``: files that others read, settings that arrive, faults that are told."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from zooready import cli
from zooready.commands.simulate import SETTINGS
from zooready.data import gallery
from zooready.data.simulated import microscope, settings_of, simulate
from zooready.errors import InputInvalid
from zooready.images.files import read_image
from zooready.java.engines import folder, libjvm
from zooready.simulate.modalities import MODALITIES, STED
from zooready.simulate.stages import PLANES, STACKS


def simulated(out, specimen="filaments", **settings):
    return list(simulate(specimen, out, **{"size": 48} | settings))


def description(path):
    with tifffile.TiffFile(path) as file:
        return tifffile.xml2dict(file.ome_metadata)["OME"]


def facts(path):
    return json.loads(description(path)["Image"]["Description"])


def test_a_field_is_an_image_and_its_truth_with_calibration(tmp_path):
    (made,) = simulated(tmp_path, "puncta", modality="confocal", pixel_size_um=0.05)
    assert made.image == tmp_path / "images" / "puncta_confocal_000.ome.tif"
    assert made.truth == tmp_path / "truth" / "puncta_confocal_000.ome.tif"
    image, truth = read_image(made.image), read_image(made.truth)
    for read, dtype in ((image, np.uint16), (truth, np.float32)):
        assert (read.axes, read.array.shape, read.array.dtype) == ("yx", (48, 48), dtype)
        assert read.pixel_size_um == pytest.approx(0.05)
    assert np.corrcoef(image.array.ravel(), truth.array.ravel())[0, 1] > 0.5


def test_a_stack_has_planes_and_their_distance(tmp_path):
    (made,) = simulated(tmp_path, "beads", planes=5, z_step_um=0.2)
    image = read_image(made.image)
    assert (image.axes, image.array.shape, image.z_um) == ("zyx", (5, 48, 48), 0.2)


def test_the_file_says_in_omes_words_and_in_json_how_it_was_made(tmp_path):
    (made,) = simulated(tmp_path, "beads", modality="sted", na=1.4, wavelength_nm=650.0, saturation=3.0, seed=7, photons=321.0)
    root = description(made.image)
    assert root["Instrument"]["Objective"]["LensNA"] == 1.4
    assert root["Image"]["ObjectiveSettings"]["RefractiveIndex"] == 1.515
    channel = root["Image"]["Pixels"]["Channel"]
    assert (channel["Name"], channel["AcquisitionMode"], channel["EmissionWavelength"]) == ("beads", "STED", 650)
    told = facts(made.image)
    assert (told["specimen"], told["modality"], told["seed"], told["index"], told["photons"]) == ("beads", "sted", 7, 0, 321.0)
    assert (told["optics"]["na"], told["settings"]["saturation"], told["camera"]["offset"]) == (1.4, 3.0, 100.0)
    assert "truth" in facts(made.truth)
    assert "truth" not in told


def test_a_plain_reader_finds_the_resolution_too(tmp_path):
    (made,) = simulated(tmp_path, pixel_size_um=0.05)
    with tifffile.TiffFile(made.image) as file:
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert file.pages[0].tags["ResolutionUnit"].value == 3  # centimetres
    assert numerator / denominator == pytest.approx(1e4 / 0.05)


IMAGEJ = """
import json, sys, jpype
jvm, jar, path = sys.argv[1:]
jpype.startJVM(jvm, "-Djava.awt.headless=true", classpath=[jar])
image = jpype.JClass("ij.IJ").openImage(path)
calibration, stack = image.getCalibration(), image.getStack()
print(json.dumps({
    "planes": int(stack.getSize()),
    "unit": str(calibration.getUnit()),
    "side": float(calibration.pixelWidth),
    "values": [[float(value) for value in stack.getProcessor(i + 1).convertToFloat().getPixels()] for i in range(stack.getSize())],
}))
"""


@pytest.mark.java
def test_imagej_opens_a_stack_without_bio_formats(tmp_path, engines):
    (made,) = simulated(tmp_path, "beads", planes=3, size=20, pixel_size_um=0.08)
    (jar,) = (folder() / "jars").glob("ij-*.jar")
    done = subprocess.run(
        [sys.executable, "-c", IMAGEJ, str(libjvm()), str(jar), str(made.image)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["planes"], seen["unit"], seen["side"]) == (3, "µm", pytest.approx(0.08))
    assert np.array_equal(np.ravel(seen["values"]), read_image(made.image).array.ravel())


def test_field_number_i_depends_on_seed_and_i_alone(tmp_path):
    three, one, other = simulated(tmp_path / "a", count=3), simulated(tmp_path / "b", count=1), simulated(tmp_path / "c", seed=1)
    assert three[0].image.read_bytes() == one[0].image.read_bytes()
    images = [read_image(made.image).array for made in (*three, *other)]
    assert all(not np.array_equal(images[i], images[j]) for i in range(4) for j in range(i))


def test_training_reads_the_folder(tmp_path):
    from zooready.data import read_folder
    from zooready.families import FAMILIES

    simulated(tmp_path, count=2)
    family = FAMILIES["mrbcr"]
    found = read_folder(tmp_path, family.training.pair_of, partner=family.training.partner)
    assert len(found.pairs) == 2


def test_saturated_pixels_are_told_of_the_field_and_the_rest_goes_on(tmp_path):
    made = simulated(tmp_path, count=2, camera_limit=200)
    assert len(made) == 2
    for one in made:
        share = (read_image(one.image).array == 200).mean()
        assert one.notes == (f"{100 * share:.3g} % of the pixels are saturated: lower photons, or raise the camera's limit.",)
    assert simulated(tmp_path)[0].notes == ()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in {
    "na": 1.2, "wavelength_nm": 550.0, "index": 1.6, "specimen_index": 1.33, "depth_um": 3.0, "z_um": 0.3, "pixel_size_um": 0.06,
    "background": 50.0, "gain": 2.0, "offset": 50.0, "read_noise": 8.0, "camera_limit": 300.0,
}.items()])  # fmt: skip
def test_every_setting_changes_the_image(tmp_path, name, value):
    base = {"specimen_index": 1.4, "depth_um": 6.0, "pixel_size_um": 0.08}
    one, other = (simulated(tmp_path / folder, **settings)[0].image for folder, settings in (("a", base), ("b", base | {name: value})))
    assert not np.array_equal(read_image(one).array, read_image(other).array)


OWN = [
    ("confocal", "pinhole_au", 0.2),
    ("confocal", "excitation_nm", 500.0),
    ("sted", "saturation", 2.0),
    ("sted", "pinhole_au", 0.2),
    ("sted", "excitation_nm", 500.0),
    ("tirf", "angle_deg", 72.0),
    ("tirf", "excitation_nm", 500.0),
    ("tirf", "water_index", 1.37),
    ("sim", "extension", 1.5),
    ("sim", "wiener", 0.3),
    ("brightfield", "absorbance", 1.5),
    ("brightfield", "condenser_na", 0.4),
]


@pytest.mark.parametrize(("modality", "name", "value"), OWN, ids=[f"{one[0]}-{one[1]}" for one in OWN])
def test_every_setting_of_a_modality_changes_the_image(tmp_path, modality, name, value):
    base = {"modality": modality, "na": 1.45, "pixel_size_um": 0.02} | ({"planes": 3, "z_step_um": 0.1} if modality == "tirf" else {})
    one, other = (simulated(tmp_path / folder, **settings)[0].image for folder, settings in (("a", base), ("b", base | {name: value})))
    assert not np.array_equal(read_image(one).array, read_image(other).array)


def test_all_own_settings_were_tried():
    shared = set(settings_of("widefield"))
    assert {(modality, name) for modality, name, _ in OWN} == {(one, name) for one in MODALITIES for name in settings_of(one)} - {
        (one, name) for one in MODALITIES for name in shared
    }


@pytest.mark.parametrize("modality", MODALITIES)
def test_without_a_pixel_size_it_is_four_fifths_of_the_limit(modality):
    made = microscope(modality, {"na": 1.45})
    assert made.optics.pixel_size_um == pytest.approx(0.8 * made.modality.largest_pixel_um(made.optics), rel=0.01)


def test_aberrations_can_be_given_in_python():
    made = microscope("sted", {"zernike": ((4, 0, 0.1),), "saturation": 4.0})
    assert made.optics.zernike == ((4, 0, 0.1),)
    assert made.modality == STED(saturation=4.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"specimen": "cats"}, r"no plane of 'cats': choose from beads"),
        ({"modality": "lightsheet"}, r"no modality 'lightsheet': choose from widefield, confocal"),
        ({"pinhole_au": 1.0}, r"widefield takes no pinhole_au: choose from na, wavelength_nm"),
        ({"saturation": 3.0}, r"widefield takes no saturation"),
        ({"planes": 0}, r"planes=0: it must be at least 1"),
        ({"size": 0}, r"size=0: it must be at least 1"),
        ({"count": -2}, r"count=-2: it must be at least 1"),
        ({"z_step_um": 0.1}, r"z_step_um=0\.1 with one plane: ask for several planes"),
        ({"background": np.nan}, r"background=nan: it must be zero or more"),
        ({"background": -1.0}, r"background=-1\.0: it must be zero or more"),
        ({"camera_limit": np.nan}, r"camera_limit=nan: it must be a whole number"),
        ({"na": 1.6}, r"na=1\.6 with index=1\.515: .*keep na below 1\.515"),
        ({"na": np.nan}, r"na=nan: it must be a positive number"),
        ({"pixel_size_um": 0.2}, r"pixel_size_um=0\.2 is above the Nyquist limit of 0\.1154 um"),
        ({"photons": 0.0}, r"photons=0\.0: it must be a positive number"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_settings_that_make_no_sense_are_refused_and_nothing_is_written(tmp_path, settings, message):
    with pytest.raises(InputInvalid, match=message):
        simulated(tmp_path, **settings)
    assert list(tmp_path.rglob("*.tif")) == []


def test_the_command_prints_where_the_files_are_and_what_is_wrong(tmp_path, capsys):
    given = ["simulate", "beads", "--out", str(tmp_path), "--size", "32", "--camera-limit", "150"]
    assert cli.main(given) == 0
    said = capsys.readouterr().out.replace("\n", "")
    assert "beads_widefield_000.ome.tif" in said
    assert "pixels are saturated" in said
    assert cli.main([*given, "--na", "2"]) == 2
    assert "keep na below 1.515" in capsys.readouterr().err


def test_help_lists_what_there_is(capsys):
    with pytest.raises(SystemExit):
        cli.main(["simulate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"Specimens: {', '.join(PLANES)}. With --planes: {', '.join(STACKS)}." in text
    assert f"{{{','.join(MODALITIES)}}}" in text
    every = {name for modality in MODALITIES for name in settings_of(modality)} | {"z_step_um"}
    assert {name.replace("-", "_") for name in SETTINGS} == every


def test_defaults_in_the_help_are_those_of_the_code():
    told = {name.replace("-", "_"): text.split("default: ")[1].rstrip(")") for name, text in SETTINGS.items()}
    for modality in MODALITIES:
        made = microscope(modality, {"na": 1.3})
        values = {**vars(made.optics), **vars(made.camera), **vars(made.modality), "camera_limit": made.camera.saturation}
        values["background"] = made.dye.background
        for name in settings_of(modality):
            if name in values and told[name].replace(".", "").isdigit():
                assert float(told[name]) == pytest.approx(values[name]), name


def test_the_gallery_is_one_image_and_says_why_a_modality_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "DEPTH", 4)  # quicker
    whole = gallery.gallery(tmp_path / "gallery.png")
    assert whole.stat().st_size < 300_000
    with Image.open(whole) as image:
        pixels = np.asarray(image)
    without = gallery.gallery(tmp_path / "without.png", na=1.2, specimen="worms")
    with Image.open(without) as image:
        assert image.size == (932, 590)
        last = np.asarray(image)[-128:]
    tirf = slice(4 * 134, 4 * 134 + 128)
    assert (last[:, tirf] > 200).mean() > 0.7  # a sentence on white
    assert (pixels[-128:, tirf] > 200).mean() < 0.3
    with pytest.raises(InputInvalid, match=r"no specimen 'cats': choose from beads, filaments"):
        gallery.gallery(tmp_path / "no.png", specimen="cats")

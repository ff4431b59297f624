"""BioSR's layout, in files of a few pixels."""

import mrcfile
import numpy as np
import pytest

from zooready.data import examine_biosr, read_biosr
from zooready.data.biosr import PIXEL_UM
from zooready.errors import InputInvalid
from zooready.families import FAMILIES, mrbcr
from zooready.training.pairs import pairs_of


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(array)


def spot(side, factor):
    """A spot off the middle, whose place is the same in both pixel sizes."""
    y, x = (np.indices((side, side)) + 0.5) * (2 / factor) - 0.5
    return 1000 * np.exp(-((y - 21) ** 2 + (x - 40) ** 2) / 40)


def cell(folder, levels=(1, 2), in_folders=False):
    for level in levels:
        frames = np.stack([spot(32, 1) + offset for offset in (0, 100, 200)]).astype(np.uint16) + level
        inside = "RawSIMData/" if in_folders else ""
        write(folder / f"{inside}RawSIMData_level_{level:02d}.mrc", frames)
        if in_folders:
            write(folder / f"GTSIM/GTSIM_level_{level:02d}.mrc", spot(64, 2).astype(np.float32) + level)
    if not in_folders:
        write(folder / "SIM_gt.mrc", spot(64, 2).astype(np.float32))


def test_the_mean_of_the_raw_frames_lies_on_the_sim_image(tmp_path):
    cell(tmp_path / "CCPs" / "Cell_001")
    data = read_biosr(tmp_path / "CCPs", mrbcr.pair_of)
    assert data.names == ("Cell_001/RawSIMData_level_01.mrc", "Cell_001/RawSIMData_level_02.mrc")
    first, second = data.pairs
    assert first.input.shape == first.target.shape == (1, 64, 64)
    assert first.pixel_size_um == PIXEL_UM
    assert np.abs(first.input - 101 - first.target).max() < 15, "the mean of the offsets, and the same place to a fraction of a pixel"
    assert (second.input - first.input).mean() == pytest.approx(1, abs=0.01)


def test_cells_whose_files_lie_in_folders_have_a_target_for_each_level(tmp_path):
    cell(tmp_path / "ER" / "Cell_007", in_folders=True)
    data = read_biosr(tmp_path, mrbcr.pair_of)
    assert data.names[0] == "ER/Cell_007/RawSIMData/RawSIMData_level_01.mrc"
    assert (data.pairs[1].target - data.pairs[0].target).mean() == pytest.approx(1, abs=1e-3)


def test_three_levels_of_nine_are_read_and_whole_cells_are_held_out(tmp_path):
    for number in range(1, 7):
        cell(tmp_path / f"Cell_{number:03d}", levels=range(1, 10))
    data = read_biosr(tmp_path, mrbcr.pair_of)
    assert [name[-6:-4] for name in data.names[:3]] == ["01", "05", "09"]
    training, held_out = data.split(3)
    assert {data.names[index][:8] for index in held_out} == {"Cell_005"}
    assert {data.names[index][:8] for index in training} == {f"Cell_{number:03d}" for number in (1, 2, 3, 4, 6)}


def test_training_takes_such_a_folder(tmp_path):
    for number in range(2):
        cell(tmp_path / f"Cell_{number:03d}")
    pairs = pairs_of(FAMILIES["superres-tirfsim"], tmp_path, seed=0)
    assert pairs.source(0, 0).input.shape == (1, 64, 64)
    assert pairs.pixel_size_um == (PIXEL_UM, PIXEL_UM)
    assert "2 images of the folder" in pairs.words
    with pytest.raises(InputInvalid, match="BioSR's pairs are of single planes, and segmentation does not restore those. Train superres-"):
        pairs_of(FAMILIES["segmentation"], tmp_path, seed=0)


@pytest.mark.filterwarnings("ignore:Data array contains NaN")  # of the file written here
def test_all_faults_are_listed_and_the_rest_is_read(tmp_path):
    for number in range(1, 6):
        cell(tmp_path / f"Cell_{number:03d}", levels=(1,))
    (tmp_path / "Cell_001" / "SIM_gt.mrc").unlink()
    (tmp_path / "Cell_002" / "SIM_gt.mrc").write_bytes(b"nothing")
    write(tmp_path / "Cell_003" / "SIM_gt.mrc", np.zeros((70, 64), np.float32))
    write(tmp_path / "Cell_004" / "SIM_gt.mrc", np.full((64, 64), np.nan, np.float32))
    data = examine_biosr(tmp_path, mrbcr.pair_of)
    assert data.names == ("Cell_005/RawSIMData_level_01.mrc",)
    wanted = ("has no SIM image beside it: SIM_gt.mrc, or", "not an MRC file", "have 32x32 and 70x64 px", "4096 pixels of NaN or infinity")
    assert all(part in fault for part, fault in zip(wanted, data.faults, strict=True))
    with pytest.raises(InputInvalid, match="Repair or remove these files"):
        read_biosr(tmp_path, mrbcr.pair_of)


def test_another_folder_is_not_biosr(tmp_path):
    with pytest.raises(InputInvalid, match="holds no Cell_001/RawSIMData_level_01.mrc or the like"):
        read_biosr(tmp_path, mrbcr.pair_of)

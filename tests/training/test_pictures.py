"""What a training shows while it goes on: held-out pairs as pictures, and a log for TensorBoard where that is installed."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image
from test_train import TINY, tiny

from zooready.records import Part
from zooready.training.callbacks import Pictures, boards
from zooready.training.loop import train

pytestmark = pytest.mark.filterwarnings("ignore")


def drawn(folder, family=TINY, **options):
    torch.set_num_threads(1)
    train(family, folder, device="cpu", is_quiet=True, **options)
    return folder / "predictions.png"


def test_held_out_pairs_are_drawn_as_image_output_and_target(tmp_path):
    with Image.open(drawn(tmp_path / "run")) as file:
        sheet = np.asarray(file)
    assert sheet.shape == (4 * 16 + 3 * 4, 3 * 16 + 2 * 4, 3)
    image, output, target = (sheet[:16, left : left + 16] for left in (0, 20, 40))
    assert set(np.unique(target)) == {0, 255}
    assert image[target == 255].mean() > image[target == 0].mean() + 60
    assert np.ptp(output) > 60


def test_they_are_drawn_about_twenty_times_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(Pictures, "TIMES", 2)
    times = []
    monkeypatch.setattr("zooready.training.callbacks.write_png", lambda pixels, path: times.append(path.name))
    drawn(tmp_path / "run", steps=12, chunk=2)
    assert times == ["predictions.png"] * 2


class Classes(torch.nn.Module):
    """(b, 1, y, x) -> logits (b, 1) of a family whose output is no image."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, image):
        return torch.sigmoid(image.mean((2, 3)) * self.weight)


def test_a_classifier_has_no_pictures(tmp_path):
    family = tiny(pair=lambda seed, index: replace(TINY.training.pair(seed, index), target=np.ones(1, np.float32)), metrics=None)
    family = replace(family, network=replace(family.network, architecture=Part(path="test_pictures.Classes")))
    assert not drawn(tmp_path / "run", family).exists()


def test_the_log_for_tensorboard_lies_in_the_run_where_it_is_installed(tmp_path):
    drawn(tmp_path / "run")
    assert (tmp_path / "run" / "tensorboard").exists() == bool(find_spec("tensorboard"))
    assert len(boards(tmp_path)) == int(bool(find_spec("tensorboard")))
    if find_spec("tensorboard"):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
        assert {"loss", "held_out_loss", "learning_rate"} <= set(events.Tags()["scalars"])
        assert len(events.Scalars("loss")) == 12
        assert events.Tags()["images"] == ["predictions"]

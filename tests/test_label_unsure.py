"""Windows that a classifier is least sure of come first."""

from pathlib import Path

import numpy as np
import pytest
import torch

from labelled_models import fitted, small_model
from made_up_takes import made_up_clip
from training.label_unsure import ordered
from training.label_windows import Window
from training.models import describe
from training.models import labelled_pose as pose


def checkpoint(folder: Path, model: torch.nn.Module) -> Path:
    torch.save({**describe("labelled", model), "about": {}}, folder / "last.ckpt")
    return folder / "last.ckpt"


def deck(fps: float = 30.0) -> list[Window]:
    clip = made_up_clip(8.0, fps)
    parts = [slice(first, first + 16) for first in range(0, 224, 16)]
    return [Window("a", 0.0, 1.0, fps, clip.root_positions[each], clip.rotations[each]) for each in parts]


def test_the_least_sure_window_comes_first(tmp_path: Path) -> None:
    model, windows = fitted(), deck()
    moves = torch.stack([pose.moves(each.root, each.rotations, 30.0) for each in windows])
    with torch.inference_mode():
        said = model.classifier(moves, pose.positions(moves))[1].exp()
    entropy = torch.distributions.Categorical(probs=said).entropy()
    expected = [windows[place] for place in np.argsort(-entropy.numpy(), kind="stable")]
    assert ordered(windows, checkpoint(tmp_path, model), ["time"]) == expected
    assert expected != windows


def test_what_cannot_be_unsure_is_told(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, small_model())
    with pytest.raises(ValueError, match="knows space, time, and none of weight"):
        ordered(deck(), path, ["weight"])
    with pytest.raises(ValueError, match="needs windows at 30 fps"):
        ordered(deck(60.0), path, ["time"])
    with pytest.raises(ValueError, match="there is no checkpoint"):
        ordered(deck(), tmp_path / "none.ckpt", ["time"])

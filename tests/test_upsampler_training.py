"""The upsampler's training: takes, windows, the command, a run that goes on, and the file that comes of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from exporters import onnx as exporters_onnx
from made_up_takes import made_up_clip
from motion import key_window
from motion import rotations as rot
from motion.bvh import write_bvh
from server.onnx_model import OnnxModel
from training import prepare_amass, train
from training.models import load_checkpoint, upsampler_takes
from training.models.upsampler_takes import load_takes
from training.models.upsampler_windows import QUERIES, Windows


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two takes of two and one of one."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, name in enumerate(("60_1", "61_1", "60_2", "61_2", "alone")):
        write_bvh(folder / f"{name}.bvh", made_up_clip(1.5 + number / 8, 120.0, float(number)))
    data = {"drop_first": 0, "scale": 1.0}
    sections = {"data": data, "model": {"width": 16}, "training": {"batch_size": 64, "epochs": 2}}
    (folder / "small.yaml").write_text(yaml.safe_dump(sections))
    return folder


def _command(recordings: Path, out: Path, *more: str) -> list[str]:
    config = str(recordings / "small.yaml")
    return ["upsampler", config, "--data", str(recordings), "--out", str(out), "--fold", "1/3", *more]


@pytest.fixture(scope="module")
def trained(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mine"
    assert train.main(_command(recordings, out)) == 0
    return out


def test_two_files_of_one_take_stay_together(recordings: Path) -> None:
    takes = load_takes(upsampler_takes.Config(drop_first=0, scale=1.0), recordings)
    assert [[dancer.file for dancer in take.dancers] for take in takes] == [
        ["60_1.bvh", "61_1.bvh"],
        ["60_2.bvh", "61_2.bvh"],
        ["alone.bvh"],
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"folders": ("none",)}, "none is no folder"),
        ({"files": ("x*.bvh",)}, "no recordings x"),
        ({"fps": 0.0}, "fps 0"),
    ],
)
def test_takes_that_are_not_there_are_told(recordings: Path, given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_takes(upsampler_takes.Config(**given), recordings)


def test_a_broken_file_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text("no recording")
    with pytest.raises(ValueError, match=r"^a\.bvh:1: "):
        load_takes(upsampler_takes.Config(), tmp_path)


def test_a_prepared_library_is_read_too(tmp_path: Path) -> None:
    library = tmp_path / "AMASS" / "ACCAD" / "someone"
    library.mkdir(parents=True)
    poses = 0.2 * np.sin(np.arange(90)[:, None] / 9 + np.arange(156))
    moved = np.stack([np.linspace(0.0, 1.0, 90), np.zeros(90), np.full(90, 0.9)], axis=-1)
    np.savez(library / "walk_poses.npz", poses=poses, trans=moved, gender="female", mocap_framerate=60.0)
    assert prepare_amass.main([str(tmp_path / "AMASS"), str(tmp_path / "amass.h5")]) == 0
    (take,) = load_takes(upsampler_takes.Config(), tmp_path / "amass.h5")
    assert take.dancers[0].clean.shape[1:] == (22, 3)
    assert len(take) > 100
    assert len(Windows([take], 11, 2, False, (1.0, 1.0, 1.0, 1.0), 0.5).gather(torch.arange(50))["keys"]) == 50


def test_takes_at_another_rate_than_the_tables_count_in_are_refused(recordings: Path) -> None:
    takes = load_takes(upsampler_takes.Config(drop_first=0, scale=1.0, fps=60.0), recordings)
    with pytest.raises(ValueError, match=r"data\.fps 60: .* at 120 frames"):
        Windows(takes, 11, 2, True, (1.0, 1.0, 1.0, 1.0), 0.0)


def test_windows_show_what_was_there(recordings: Path) -> None:
    takes = load_takes(upsampler_takes.Config(drop_first=0, scale=1.0), recordings)
    windows = Windows(takes, 11, 2, True, (1.0, 1.0, 1.0, 1.0), 0.0)
    torch.manual_seed(1)
    batch = windows.gather(torch.arange(0, len(windows), 7))
    assert batch["truth"].shape == (len(batch["keys"]), QUERIES, 22, 3)
    asked = batch["valid"].amax(dim=2) > 0.5
    assert bool(asked[:, 10].all())
    assert bool((batch["times"][asked[:, :] & (torch.arange(13) < 11)] <= 0.0).all())
    ahead = asked[:, 11]
    assert bool((batch["query"][ahead] < batch["times"][ahead, 11:12]).all())
    off = (batch["keys"] - batch["clean"]).norm(dim=-1)[asked]
    assert float(off.mean()) < 0.01  # a made-up dance has nothing to filter but its ends


def test_the_command_leaves_a_model_that_answers(trained: Path) -> None:
    for left in ("last.ckpt", "history.csv", "history.txt", "history.png", "mine.onnx"):
        assert (trained / left).is_file()
    model = OnnxModel(trained / "mine.onnx")
    assert model.manifest.kind == "upsampler"
    assert {take["take"] for take in model.manifest.made_from["takes"]} == {"60_2.bvh", "61_2.bvh", "alone.bvh"}
    clip = made_up_clip(2.0, 30)
    times = np.arange(len(clip)) / 30
    queries = np.array([1.01, 1.02])
    shown = key_window.shown(
        key_window.between(times, queries),
        times,
        clip.root_positions,
        clip.rotations,
        np.ones(clip.rotations.shape[:2]),
        queries,
    )
    model.inputs |= shown.inputs()
    root, rotations = key_window.poses(shown.told(model.step()["pose"]))
    assert np.linalg.norm(root - clip.root_positions[30], axis=-1).max() < 0.1
    assert rot.angle(rotations, clip.rotations[30:31]).max() < 0.5


def test_torch_and_onnxruntime_agree_on_every_question(trained: Path) -> None:
    model = OnnxModel(trained / "mine.onnx")
    assert model.manifest.example["parity_max_abs"] < exporters_onnx.TOLERANCE


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(trained: Path, recordings: Path, tmp_path: Path) -> None:
    plan = yaml.safe_load((recordings / "small.yaml").read_text())
    whole = {**plan, "training": {**plan["training"], "schedule": "constant"}}
    (tmp_path / "constant.yaml").write_text(yaml.safe_dump(whole))
    arguments = ["upsampler", str(tmp_path / "constant.yaml"), "--data", str(recordings), "--fold", "1/3"]
    for more in (["once"], ["twice", "--epochs", "1"], ["twice", "--resume"]):
        train.fit(train.parser().parse_args([*arguments, "--out", str(tmp_path / more[0]), *more[1:]]))
    once, twice = (load_checkpoint(tmp_path / name / "last.ckpt").state_dict() for name in ("once", "twice"))
    assert all(torch.equal(value, twice[name]) for name, value in once.items())


def test_points_of_pictures_are_a_kind_of_their_own(recordings: Path, tmp_path: Path) -> None:
    plan = yaml.safe_load((recordings / "small.yaml").read_text()) | {"model": {"width": 16, "cleaner_width": 16}}
    (tmp_path / "points.yaml").write_text(yaml.safe_dump(plan))
    out = tmp_path / "points"
    arguments = [str(tmp_path / "points.yaml"), "--data", str(recordings), "--out", str(out), "--epochs", "1"]
    assert train.main(["upsampler_points", *arguments]) == 0
    model = OnnxModel(out / "points.onnx")
    assert model.manifest.skeleton.names == key_window.OPENPOSE_19
    points = 300.0 + 80.0 * model.manifest.skeleton.rest_positions[:, :2] + np.arange(20)[:, None, None] * [3.0, 0.0]
    valid = np.ones(points.shape[:2])
    valid[11, 3:6] = 0.0
    points[11, 3:6] = np.nan
    queries = np.array([10.25, 10.5])
    shown = key_window.shown_points(key_window.between(np.arange(20), queries), np.arange(20), points, valid, queries)
    model.inputs |= shown.inputs()
    made = shown.told(model.step()["pose"]).reshape(2, 19, 3)
    expected = points[10] + queries[:, None, None] % 1 * [3.0, 0.0]
    assert np.abs(made[..., :2] - expected).max() < 5.0  # pixels; steadily moved points bend little in a poor model
    assert not made[..., 2].any()

"""The training command: from recordings to a model and a show, and how it refuses."""

from pathlib import Path

import pytest
import yaml

from made_up_takes import made_up_clip, made_up_pair
from motion.bvh import write_bvh
from training import split, train

DUET = Path(__file__).resolve().parents[1] / "presets/training/duet.yaml"
SMALL = {"placement_width": 16, "pose_width": 16, "code": 4, "latent": 2}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with two takes of two made-up dancers, and small.yaml beside them."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for take in ("1", "2"):
        for name, shift in (("lead", 0.0), ("follow", 1.0)):
            write_bvh(folder / f"{name}_{take}.bvh", made_up_clip(2.0 + int(take) / 4, 60.0, shift))
    data = {"lead": "lead_*.bvh", "follow": "follow_*.bvh", "drop_first": 0, "scale": 1.0}
    sections = {"data": data, "model": SMALL, "training": {"batch_size": 64, "epochs": 1}}
    (folder / "small.yaml").write_text(yaml.safe_dump(sections))
    return folder


def _command(recordings: Path, *more: str) -> list[str]:
    return ["duet", f"{recordings / 'small.yaml'}", "--data", f"{recordings}", "--out", f"{recordings / 'mine'}", *more]


def test_one_command_trains_exports_and_says_last_how_to_go_live(
    recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(_command(recordings, "--fold", "2/2")) == 0
    out = recordings / "mine"
    assert capsys.readouterr().out.rstrip().endswith(f"python run_server.py {out / 'live.yaml'}")
    for left in ("last.ckpt", "history.csv", "history.png", "mine.onnx", "live.yaml"):
        assert (out / left).is_file()


def test_a_wrong_folder_is_an_error_line_not_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["duet", str(DUET), "--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    assert "none is no folder" in capsys.readouterr().err


def test_a_logger_that_is_not_installed_is_refused_before_anything_is_read(
    recordings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert train.main(_command(recordings, "--logger", "wandb")) == 1
    assert "pip install wandb; or choose csv, tensorboard" in capsys.readouterr().err
    assert not (recordings / "mine").exists()


@pytest.mark.parametrize("fold", ["4/3", "0/3", "1/0", "third"])
def test_a_fold_that_cannot_be_is_refused_before_anything_is_read(
    recordings: Path, capsys: pytest.CaptureFixture[str], fold: str
) -> None:
    assert train.main(_command(recordings, "--fold", fold)) == 1
    assert "--fold" in capsys.readouterr().err
    assert not (recordings / "mine").exists()


def test_a_part_of_the_model_starts_from_another_run(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(_command(recordings)) == 0
    sections = yaml.safe_load((recordings / "small.yaml").read_text())
    sections["training"]["init_from"] = {"placement": str(recordings / "mine/last.ckpt#pose")}
    (recordings / "small.yaml").write_text(yaml.safe_dump(sections))
    assert train.main(_command(recordings)) == 1
    assert "init_from: placement does not fit pose of" in capsys.readouterr().err


def test_a_share_of_whole_takes_is_held_out() -> None:
    pairs = [made_up_pair(f"take {number}", seconds=2.0) for number in range(10)]
    trained, held_out = split.hold_out_share(pairs, 0.3, seed=0)
    assert len(held_out) == 3
    assert [pair.name for pair in pairs] == sorted(pair.name for pair in [*trained, *held_out])
    assert {pair.name for pair in held_out} != {pair.name for pair in split.hold_out_share(pairs, 0.3, seed=1)[1]}


def test_a_single_take_is_cut_in_time_with_a_gap() -> None:
    pair = made_up_pair(seconds=20.0)
    (before,), (after,) = split.hold_out_share([pair], 0.25, seed=0)
    assert len(after.lead) == 5 * 120
    assert len(before.lead) == 20 * 120 - len(after.lead) - split.GAP * 120
    assert (after.follow.root[-1] == pair.follow.root[-1]).all()
    assert (before.follow.root[0] == pair.follow.root[0]).all()


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 20.0), (-0.1, 20.0), (0.5, 4.0)])
def test_a_share_that_leaves_a_side_empty_is_refused(share: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="test_share"):
        split.hold_out_share([made_up_pair(seconds=seconds)], share, seed=0)

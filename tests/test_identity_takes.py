"""Who does what in recordings: where it is read, how takes are split, what windows hold, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from made_up_takes import made_up_clip
from motion.bvh import write_bvh
from training.identity_labels import who_and_what
from training.labels import NONE
from training.models import identity_pose as pose
from training.models import identity_takes as takes_of
from training.models.identity_takes import Config, Dancer, Names, Take, load_takes, split
from training.models.identity_windows import of_takes

FILES = [f"{action}_{identity}_{take}.bvh" for action in ("run", "slow-walk") for identity in "ab" for take in (1, 2)]
NAMES = ("{action}_{identity}_*.bvh",)


def _take(file: str, cell: tuple[str, str], seconds: float = 2.0) -> Take:
    clip = made_up_clip(seconds, 30.0, shift=float(len(file)))
    return Take(file, (Dancer(file, f"hash of {file}", clip.root_positions, clip.rotations, cell),), 30.0)


def _takes() -> list[Take]:
    return [_take(file, cell) for file, cell in who_and_what(None, {}, NAMES, FILES).items()]


def test_names_tell_who_and_what() -> None:
    assert who_and_what(None, {}, NAMES, FILES)["slow-walk_b_2.bvh"] == ("b", "slow-walk")


def test_a_table_counts_before_a_cast_and_a_cast_before_names(tmp_path: Path) -> None:
    table = tmp_path / "who.csv"
    table.write_text("take, identity, action\nrun_a_1,carla,leap\n")
    given = who_and_what(table, {"run_*": ("dora", "hop")}, NAMES, FILES)
    assert [given[file] for file in (FILES[0], FILES[1], FILES[-1])] == [
        ("carla", "leap"),
        ("dora", "hop"),
        ("b", "slow-walk"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("take,who,action\n", "lacks identity; its columns must be: take, identity, action"),
        ("take,identity,action\nrun_a_1,,x\n", "who.csv:2: one of"),
        ("take,identity,action\nrun_z_1,a,x\n", "who.csv:2: there is no take 'run_z_1'; there are: run_a_1.bvh"),
        ("take,identity,action\nrun_a_1,a,x\nrun_a_1,b,x\n", "who.csv:3: run_a_1 is 'b' doing 'x' here, and 'a'"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "who.csv"
    table.write_text(text)
    with pytest.raises(ValueError, match=said):
        who_and_what(table, {}, NAMES, FILES)


def test_files_nothing_is_said_about_are_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"who moves in walk\.bvh .* 1 of 9 files; .*labels.*cast.*names"):
        who_and_what(None, {}, NAMES, [*FILES, "walk.bvh"])
    with pytest.raises(ValueError, match=r"cast: no file fits 'x_\*'; there are: run_a_1.bvh"):
        who_and_what(None, {"x_*": ("a", "b")}, NAMES, FILES)


@pytest.mark.parametrize(
    ("config", "said"),
    [({"names": ("{action}_*.bvh",)}, "must have {identity} and {action}"), ({"shortest": 1}, "shortest 1 must be 2")],
)
def test_a_config_is_refused(config: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Config(**config)


def test_one_identity_or_an_action_with_one_clip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"all 2 takes have one identity, 'a'.*labels"):
        takes_of.require([_take("1", ("a", "run")), _take("2", ("a", "run"))])
    with pytest.raises(ValueError, match=r"action 'hop' has one clip, 9\.bvh, .*: run 4, slow-walk 4; leave"):
        takes_of.require([*_takes(), _take("9.bvh", ("a", "hop"))])


def test_takes_are_held_out_by_name_and_by_cell() -> None:
    config = Config(test_files=("*_2.bvh",), unseen=(("b", "run"),))
    trained, held_out = split(config, _takes(), None, 0)
    assert [take.name for take in trained] == ["run_a_1.bvh", "slow-walk_a_1.bvh", "slow-walk_b_1.bvh"]
    assert len(held_out) == 5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"unseen": (("c", "run"),)}, "no 'c' doing 'run'; there are: 'a' doing 'run'"),
        ({"unseen": (("a", "run"), ("b", "run"))}, "nothing is left to train on of action 'run'"),
        ({"test_files": ("z*",)}, "test_files: no file fits 'z"),
    ],
)
def test_a_split_that_leaves_nothing_is_refused(config: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        split(Config(**config), _takes(), None, 0)


def test_windows_know_who_does_what_and_a_pair_is_the_same_person_in_another_take() -> None:
    takes = _takes()
    windows = of_takes(takes, Names.of(takes), 32, mirror=False)
    numbers = torch.arange(len(windows))
    batch = windows.gather(numbers)
    files = [windows.origin(int(number))[0] for number in numbers]
    said = [("run", "slow-walk")[action] for action in batch["action"]]
    assert said == [file.split("_")[0] for file in files]
    assert batch["x"].shape == batch["pair"].shape == (len(windows), 32, pose.WIDTH)
    assert torch.bincount(2 * batch["identity"] + batch["action"]).unique().numel() == 1


def test_cells_come_up_equally_often_however_long_they_are() -> None:
    takes = [_take("a", ("a", "run"), 2.0), _take("b", ("b", "walk"), 8.0)]
    batch = (windows := of_takes(takes, Names.of(takes), 16, mirror=True)).gather(torch.arange(len(windows)))
    assert torch.bincount(batch["identity"]).tolist() == [len(windows) // 2] * 2


def test_somebody_nobody_trained_on_has_no_number() -> None:
    takes = [_take("a", ("a", "run")), _take("b", ("b", "walk"))]
    windows = of_takes(takes, Names(("a", "c"), ("run", "walk")), 16, mirror=False)
    assert set(windows.gather(torch.arange(len(windows)))["identity"].tolist()) == {0, NONE}


def test_a_short_take_holds_its_last_pose() -> None:
    takes = [_take("a", ("a", "run"), 1.0), _take("b", ("b", "walk"), 2.0)]
    moves = of_takes(takes, Names.of(takes), 40, mirror=False).gather(torch.tensor([0]))["x"][0]
    assert torch.equal(moves[29, : 1 - pose.CARRIAGE], moves[39, : 1 - pose.CARRIAGE])
    assert moves[30:, 1 - pose.CARRIAGE :].abs().max() == 0.0


def test_a_folder_is_read_and_its_short_files_are_named(tmp_path: Path) -> None:
    for file in FILES:
        write_bvh(tmp_path / file, made_up_clip(1.5, 30.0))
    config = Config(names=NAMES, drop_first=0, scale=1.0)
    takes = load_takes(config, tmp_path)
    assert [take.cells for take in takes][:1] == [[("a", "run")]]
    assert np.allclose([len(take) for take in takes], 45, atol=1)
    with pytest.raises(ValueError, match=r"run_a_1.bvh: 4\d frames at 30 fps are left of it and `shortest` is 60"):
        load_takes(Config(names=NAMES, drop_first=0, scale=1.0, shortest=60), tmp_path)

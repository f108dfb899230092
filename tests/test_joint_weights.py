"""Weights of joints are given by name, and a name that fits nothing is refused."""

from pathlib import Path

import pytest
import torch

from motion.bvh import read_bvh
from motion.skeleton import HUMANOID, Skeleton
from training import joint_weights


def test_named_joints_weigh_what_they_should_and_the_others_one() -> None:
    weights = joint_weights.of(HUMANOID, {"Head": 0.5, "*Hand": 0.0})
    expected = {"Head": 0.5, "LeftHand": 0.0, "RightHand": 0.0}
    assert weights.tolist() == [expected.get(name, 1.0) for name in HUMANOID.names]


def test_a_later_name_wins_over_a_pattern_before_it() -> None:
    weights = joint_weights.of(HUMANOID, {"Left*": 0.2, "LeftFoot": 2.0})
    assert weights[HUMANOID.index("LeftFoot")] == 2.0
    assert weights[HUMANOID.index("LeftToes")] == pytest.approx(0.2)


def test_a_joint_that_is_not_there_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"Haed.*did you mean Head\?.*LeftUpperLeg"):
        joint_weights.of(HUMANOID, {"Haed": 0.5})


@pytest.mark.parametrize("weights", [{"Head": -1.0}, {"Head": "much"}, {"Head": True}, {"Head": float("nan")}])
def test_what_is_no_weight_is_refused(weights: dict) -> None:
    with pytest.raises(ValueError, match="Head"):
        joint_weights.read(weights)


def test_a_file_that_is_not_there_is_refused_with_the_ready_made_ones() -> None:
    with pytest.raises(ValueError, match="qualisys_with_hands"):
        joint_weights.read("qualysis")


def test_all_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing would be learnt"):
        joint_weights.of(HUMANOID, {"*": 0.0})


@pytest.mark.parametrize("path", sorted(joint_weights.READY_MADE.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_ready_made_file_is_read_by_its_name(path: Path) -> None:
    assert all(0.0 <= weight < 1.0 for weight in joint_weights.read(path.stem).values())


def test_fingers_with_any_prefix_are_weighed_and_the_hand_is_not() -> None:
    names = ("Hips", "mixamorig:LeftHand", "mixamorig:LeftHandThumb1", "LeftInHandIndex")
    skeleton = Skeleton(names, (-1, 0, 1, 1), torch.zeros(4, 3).numpy())
    for file in ("mixamo_with_hands", "qualisys_with_hands"):
        weights = joint_weights.of(skeleton, joint_weights.read(file))
        torch.testing.assert_close(weights, torch.tensor([1.0, 1.0, 0.05, 0.05]))


@pytest.mark.parametrize(
    ("file", "take", "count"), [("daz_with_hands", "salsa_pairs/60_01.bvh", 22), ("cmu_with_hands", "cmu_31_joint", 10)]
)
def test_the_files_for_known_conversions_fit_them(shared: Path, file: str, take: str, count: int) -> None:
    path = shared / "data" / take
    clip, _ = read_bvh(path if path.is_file() else sorted(path.glob("*.bvh"))[0])
    assert int((joint_weights.of(clip.skeleton, joint_weights.read(file)) < 1.0).sum()) == count

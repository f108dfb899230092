"""A limb that was lost: filled in from the rest of the body, which stays as it is."""

from pathlib import Path

import numpy as np
import pytest

from exporters import infill as command
from motion import kinematics
from motion.bvh import read_bvh, write_bvh
from motion.infill import BEFORE, LIMBS, Infill
from motion.joint_limits import humanoid_limits
from motion.load import load_humanoid
from motion.motion_vectors import Track
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel

PRESETS = Path(__file__).resolve().parents[1] / "presets"
MODEL = PRESETS / "models/motion_drmm.onnx"
CLIP = load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip
STEP = round(CLIP.fps / 30.0)
TRACK = Track(CLIP.root_positions[::STEP][:300], CLIP.rotations[::STEP][:300])


@pytest.fixture(scope="module")
def infill() -> Infill:
    return command.infill_of(OnnxModel(MODEL))


def chance() -> np.random.Generator:
    return np.random.default_rng(0)


def far(made: np.ndarray, limb: str, gone: slice) -> float:
    """Metres that its two lower joints are from where they were."""
    places = [HUMANOID.index(joint) for joint in LIMBS[limb][1:3]]
    there = kinematics.global_positions(HUMANOID, TRACK.root[gone], made[gone])[:, places]
    return float(np.linalg.norm(there - TRACK.positions[gone][:, places], axis=-1).mean())


@pytest.mark.parametrize("limb", LIMBS)
def test_nothing_but_the_limb_in_the_gap_is_changed_and_limits_hold(infill: Infill, limb: str) -> None:
    made = infill(TRACK, limb, 60, 100, chance())
    bones = [HUMANOID.index(joint) for joint in LIMBS[limb][:3]]
    others = [joint for joint in range(len(HUMANOID)) if joint not in bones]
    np.testing.assert_array_equal(made[:, others], TRACK.rotations[:, others])
    np.testing.assert_array_equal(
        np.delete(made, range(60, 100), axis=0), np.delete(TRACK.rotations, range(60, 100), 0)
    )
    clipped = humanoid_limits().clip(made[63])[bones[:2]]  # four frames after what was known: a frame that is told
    np.testing.assert_allclose(np.abs(np.vecdot(clipped, made[63, bones[:2]])), 1.0, atol=1e-9)


def test_what_is_filled_in_is_nearer_than_a_limb_that_is_held(infill: Infill) -> None:
    filled, held = [], []
    for number, limb in enumerate(LIMBS):
        for first in (40, 120, 200):
            gone = slice(first + 7 * number, first + 7 * number + 30)
            filled.append(far(infill(TRACK, limb, gone.start, gone.stop, chance()), limb, gone))
            stands = TRACK.rotations.copy()
            bones = [HUMANOID.index(joint) for joint in LIMBS[limb][:3]]
            stands[gone, bones] = stands[gone.start - 1, bones]
            held.append(far(stands, limb, gone))
    assert np.mean(filled) < 0.8 * np.mean(held)


def test_what_the_lost_limb_did_in_the_gap_is_not_looked_at(infill: Infill) -> None:
    lost = TRACK.rotations.copy()
    lost[60:100, [HUMANOID.index(joint) for joint in LIMBS["LeftArm"][:3]]] = [0.0, 0.0, 0.0, 1.0]
    made = [infill(Track(TRACK.root, each), "LeftArm", 60, 100, chance()) for each in (TRACK.rotations, lost)]
    np.testing.assert_allclose(made[0], made[1], atol=1e-9)


def test_a_limb_comes_back_without_a_jump(infill: Infill) -> None:
    made = infill(TRACK, "RightArm", 60, 90, chance())
    joint = HUMANOID.index("RightHand")
    there = kinematics.global_positions(HUMANOID, TRACK.root, made)[:, joint]
    steps = np.linalg.norm(np.diff(there, axis=0), axis=1)
    usual = np.linalg.norm(np.diff(TRACK.positions[:, joint], axis=0), axis=1).max()
    assert steps[57:93].max() < 1.5 * usual


def test_a_gap_may_last_to_the_end_and_a_dancer_may_be_known(infill: Infill) -> None:
    free = infill(TRACK, "LeftLeg", 260, 300, chance())
    beside = infill(TRACK, "LeftLeg", 260, 300, chance(), dancer=TRACK)
    assert np.isfinite(free).all()
    assert np.abs(free - beside).max() > 1e-3


@pytest.mark.parametrize(
    ("limb", "first", "until", "told"),
    [
        ("Tail", 60, 90, "no limb 'Tail'; the choices: LeftArm, RightArm, LeftLeg, RightLeg"),
        ("LeftArm", BEFORE - 1, 90, "must begin at frame 10 or later"),
        ("LeftArm", 60, 60, "from frame 60 to 60 of 300"),
        ("LeftArm", 60, 301, "from frame 60 to 301 of 300"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(infill: Infill, limb: str, first: int, until: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        infill(TRACK, limb, first, until, chance())


def test_a_model_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="a model of motion, and this one is about something else"):
        command.infill_of(OnnxModel(PRESETS / "models/pose_drmm.onnx"))


def test_the_command_fills_in_a_recording_at_its_own_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "take.bvh", tmp_path / "filled.bvh"
    write_bvh(source, CLIP[:300])
    assert command.main([str(source), "--gap", "LeftArm", "1.0", "1.5", "--out", str(out)]) == 0
    before, after = (read_bvh(path)[0] for path in (source, out))
    assert (len(after), after.fps) == (len(before), before.fps)
    changed = np.flatnonzero(np.abs(after.rotations - before.rotations).max(axis=(1, 2)) > 1e-4)
    assert (changed.min(), changed.max()) == (round(before.fps), round(1.5 * before.fps) - 1)
    for wrong, told in ((["Tail", "1", "2"], "no limb 'Tail'"), (["LeftArm", "x", "2"], "'x' is no number of seconds")):
        assert command.main([str(source), "--gap", *wrong, "--out", str(out)]) == 2
        assert told in capsys.readouterr().err
    assert command.main([str(source), "--gap", "LeftArm", "1", "2", "--out", str(source)]) == 2

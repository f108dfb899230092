"""The shipped mixture models: their labels are whole, pins are met, and who is told where to go goes there."""

from pathlib import Path

import numpy as np
import pytest

from exporters import inspect
from motion import kinematics
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server import preset as presets
from server.onnx_model import OnnxModel
from server.protocols.frames import PoseFrame
from server.show import build_pipeline
from server.stages.motion_plan import Planner
from server.stages.pose_expert import PoseExpert
from server.stages.sample import Sample
from server.stages.sample_wishes import Wishes
from server.stages.sampled_partner import SampledPartner

PRESETS = Path(__file__).resolve().parents[1] / "presets"
POSES, MOTION = PRESETS / "models/pose_drmm.onnx", PRESETS / "models/motion_drmm.onnx"
FPS = 60.0
CLIP = load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip[:300]


def frame(number: int) -> PoseFrame:
    now = number / FPS
    return PoseFrame(HUMANOID, CLIP.root_positions[number], CLIP.rotations[number], now, now, number, "dancer1")


def joints(pose: PoseFrame) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, pose.root_position, pose.rotations)


@pytest.mark.parametrize("path", [POSES, MOTION])
def test_a_label_names_its_takes_and_holds_no_recordings(path: Path) -> None:
    manifest = inspect.read_manifest(path)
    assert manifest.kind == "sampler"
    assert len(manifest.made_from["takes"]) >= 22
    assert not manifest.made_from["contains_recordings"]
    assert "CMU" in manifest.made_from["licence"]
    assert path.stat().st_size < 12e6


def test_pinned_hands_and_a_pinned_head_come_to_their_places() -> None:
    sample = Sample(PoseExpert(OnnxModel(POSES), 1))
    points, aside = ("LeftHand", "RightHand", "Head"), np.array([0.05, 0.03, 0.05])
    wanted = {name: joints(frame(60))[HUMANOID.index(name)] + aside for name in points}
    for name, place in wanted.items():
        sample.wishes.obey(f"sample/pin/{name}", tuple(place))
    for number in range(30, 90):
        pose = sample.step(frame(number), 1.0 / FPS, {"sampling": 1.0})
    assert max(sample.answer.missed.values()) < 0.01
    off = [np.linalg.norm(joints(pose)[HUMANOID.index(n)] - p) for n, p in wanted.items()]
    assert max(off[:2]) < 0.01
    assert off[2] < 0.1  # the head has no limb of its own: it follows the last answers


@pytest.mark.parametrize("goal", [(1.5, 0.0), (-1.5, 1.0)])
def test_a_partner_goes_where_they_are_told(goal: tuple[float, float]) -> None:
    partner = SampledPartner(Planner(OnnxModel(MOTION), 1), Wishes({"goto": goal}, moves=True))
    poses = [partner.step(frame(number), 1.0 / FPS, {"variety": 0.2}) for number in range(300)]
    assert np.linalg.norm(poses[-1].root_position[[0, 2]] - goal) < 0.4


@pytest.mark.parametrize("degrees", [90.0, -90.0])
def test_a_partner_looks_where_they_are_told(degrees: float) -> None:
    partner = SampledPartner(Planner(OnnxModel(MOTION), 1), Wishes({"facing": (degrees,)}, moves=True))
    poses = [partner.step(frame(number), 1.0 / FPS, {"variety": 0.2}) for number in range(300)]
    left, right = (joints(poses[-1])[HUMANOID.index(f"{side}UpperLeg")] for side in ("Left", "Right"))
    yaw = np.degrees(np.arctan2(-(left - right)[2], (left - right)[0]))
    assert abs((yaw - degrees + 180.0) % 360.0 - 180.0) < 40.0


def test_limits_that_contradict_each_other_throw_nobody_about() -> None:
    wishes = Wishes({"circle": (0.0, 0.0, 1.0), "keep_away": (0.0, 0.0, 2.0)}, moves=True)
    partner = SampledPartner(Planner(OnnxModel(MOTION), 1), wishes)
    poses = [partner.step(frame(number), 1.0 / FPS, {"variety": 0.2}) for number in range(300)]  # no plan is refused
    speeds = np.linalg.norm(np.diff([pose.root_position for pose in poses], axis=0), axis=1) * FPS
    assert speeds.max() < 4.0
    assert any("keep_away" in pair and "circle" in pair for pair in partner.infeasible)


def test_a_partner_stays_in_the_preset_s_circle() -> None:
    path = PRESETS / "stay_in_circle.yaml"
    pipeline = build_pipeline(presets.load(path), path)
    far = [
        np.hypot(*pose.root_position[[0, 2]])
        for number in range(300)
        for pose in pipeline.step("dancer1", frame(number))
        if pose.actor == "partner1"
    ]
    assert max(far[60:]) < 1.7 + 1e-6

"""Calibration on stage: by command and by preset, kept beside the preset, and never in the way of a frame."""

import json
from pathlib import Path

import numpy as np
import pytest

from motion import rotations as rot
from motion.calibration import Wishes
from motion.skeleton import HUMANOID
from server.calibrations import Calibrations, file_of, load, save
from server.params import Changes, ControlChange
from server.preset import parse
from server.protocols.frames import PoseFrame
from server.show import build_pipeline
from server.stages.calibrate import Calibrate

ROOT = Path(__file__).resolve().parents[1]
SOLES = HUMANOID.rest_positions[:, 1].min()


def frame(number: int, heading: float = 1.0, bend: float = 0.0) -> PoseFrame:
    """A T-pose facing `heading`, 20 cm too high; `bend` lets the arms down by so many radians."""
    rotations = np.tile(rot.IDENTITY, (22, 1))
    rotations[0] = rot.yaw(heading)
    for name, sign in (("LeftUpperArm", -1.0), ("RightUpperArm", 1.0)):
        rotations[HUMANOID.index(name)] = [0.0, 0.0, sign * np.sin(bend / 2), np.cos(bend / 2)]
    place = HUMANOID.offsets[0] + np.array([0.0, 0.2, 0.0])
    return PoseFrame(HUMANOID, place, rotations, number / 60, number / 60, number, "dancer1")


def run(stage: Calibrate, frames) -> list[PoseFrame]:
    return [stage.step(each, 1 / 60, {}) for each in frames]


def test_nothing_changes_until_something_was_measured():
    stage, pose = Calibrate(), frame(0)
    assert stage.step(pose, 1 / 60, {}) is pose
    assert stage.state == "none"


def test_a_command_counts_down_measures_and_then_the_dancer_faces_the_front_on_the_floor():
    stage = Calibrate()
    stage.begin("t_pose", after=0.5)
    states = []
    for n in range(90):
        pose = stage.step(frame(n), 1 / 60, {})
        states.append(stage.state)
    assert states.index("measuring") == pytest.approx(30, abs=1)
    assert states.index("calibrated") == pytest.approx(60, abs=2)
    np.testing.assert_allclose(pose.rotations, np.tile(rot.IDENTITY, (22, 1)), atol=1e-9)
    assert pose.root_position[1] == pytest.approx(HUMANOID.offsets[0, 1])


def test_a_refused_measurement_keeps_the_calibration_before_and_says_why():
    stage = Calibrate()
    stage.begin("first_frame")
    before = run(stage, [frame(0)])[0]
    stage.begin("t_pose")
    after = run(stage, [frame(n, bend=1.4) for n in range(40)])[-1]
    assert stage.state == "refused"
    assert "UpperArm is 80° away from a T-pose" in stage.about
    np.testing.assert_allclose(after.root_position, before.root_position)


def test_by_preset_it_waits_for_the_first_t_pose():
    stage = Calibrate(begin="t_pose")
    run(stage, [frame(n, bend=1.4) for n in range(100)])
    assert stage.calibration is None
    run(stage, [frame(n) for n in range(70)])
    assert stage.calibration is not None


def test_forgetting_gives_the_suit_its_own_zero_back():
    stage = Calibrate(Wishes(), "first_frame")
    run(stage, [frame(0)])
    stage.forget()
    pose = frame(1)
    assert stage.step(pose, 1 / 60, {}) is pose


def show(folder: Path, **dancer):
    data = {
        "format": 1,
        "dancers": {"dancer1": {"receive": "vmc", "port": 0} | dancer},
        "partners": {"partner1": {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_duet.onnx")}},
        "control": "off",
        "stage_page": "off",
    }
    return parse(data, folder / "show.yaml")


def calibrated(folder: Path, **dancer) -> Calibrations:
    """A show that was told to calibrate and did."""
    preset, path, changes = show(folder, **dancer), folder / "show.yaml", Changes()
    calibrations = Calibrations(preset, path)
    pipeline = build_pipeline(preset, path, calibrates=calibrations.stages)
    assert calibrations.ask(changes, ("dancer1", "t_pose")) == "calibrates dancer1: t_pose"
    assert all(pipeline.apply(change) for change in changes.take())
    for n in range(60):
        *_, seen = pipeline.step("dancer1", frame(n))
    assert seen.root_position[1] == pytest.approx(HUMANOID.offsets[0, 1], abs=1e-6)
    calibrations.save_changed()
    return calibrations


def test_what_was_measured_survives_a_restart(tmp_path):
    calibrated(tmp_path)
    again = Calibrations(show(tmp_path), tmp_path / "show.yaml")
    pose = run(again.stages["dancer1"], [frame(0)])[0]
    np.testing.assert_allclose(pose.rotations[0], rot.IDENTITY, atol=1e-9)


def test_a_first_frame_keeps_what_a_t_pose_said_of_the_joints(tmp_path):
    kept = calibrated(tmp_path).stages["dancer1"].calibration
    again = Calibrations(show(tmp_path, calibration={"at": "first_frame", "place": True}), tmp_path / "show.yaml")
    pose = run(again.stages["dancer1"], [frame(0, heading=2.0)])[0]
    np.testing.assert_allclose(pose.rotations, np.tile(rot.IDENTITY, (22, 1)), atol=1e-9)
    np.testing.assert_allclose(pose.root_position, [0.0, HUMANOID.offsets[0, 1], 0.0], atol=1e-9)
    np.testing.assert_array_equal(again.stages["dancer1"].calibration.rest, kept.rest)


def test_a_dancer_who_keeps_nothing_leaves_no_file(tmp_path):
    calibrated(tmp_path, calibration={"keep": False})
    assert not file_of(tmp_path / "show.yaml").exists()


def test_a_file_has_room_for_everybody_and_forgets_whom_it_is_told_to(tmp_path):
    path = tmp_path / "show.yaml"
    one = calibrated(tmp_path).stages["dancer1"].calibration
    save(path, {"dancer2": one})
    assert set(load(path)) == {"dancer1", "dancer2"}
    save(path, {"dancer1": None})
    assert set(load(path)) == {"dancer2"}


def test_a_folder_that_cannot_be_written_costs_the_file_and_not_the_show(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert "No space left on device; the next show will not have it" in calibrated(tmp_path).fault


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1, "dancers": {"dancer1": {}}}'])
def test_a_broken_file_is_refused_before_the_show_with_its_name(tmp_path, text):
    file_of(tmp_path / "show.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"show\.calibration\.json: .*delete it to calibrate anew"):
        Calibrations(show(tmp_path), tmp_path / "show.yaml")


@pytest.mark.parametrize("arguments", [("dancer9",), ("t-pose",), (-1.0,), (1e9,), (float("nan"),), (b"x",)])
def test_what_nobody_can_calibrate_is_answered_with_the_choices(tmp_path, arguments):
    changes = Changes()
    with pytest.raises(ValueError, match=r"is no dancer \(dancer1\), no kind \(t_pose, first_frame, off\)"):
        Calibrations(show(tmp_path), tmp_path / "show.yaml").ask(changes, arguments)
    assert list(changes.take()) == []


def test_seconds_alone_are_no_wait_since_buttons_send_numbers(tmp_path):
    changes = Changes()
    with pytest.raises(ValueError, match="takes seconds beside a dancer or a kind: t_pose 5"):
        Calibrations(show(tmp_path), tmp_path / "show.yaml").ask(changes, (5.0,))
    assert list(changes.take()) == []


@pytest.mark.parametrize("change", [("calibrate/nobody", "t_pose"), ("calibrate/dancer1", "x"), ("x/dancer1", "off")])
def test_a_change_that_means_nothing_is_refused(tmp_path, change):
    pipeline = build_pipeline(show(tmp_path), tmp_path / "show.yaml")
    assert not pipeline.apply(ControlChange(*change))


def test_the_file_is_plain_json(tmp_path):
    calibrated(tmp_path)
    data = json.loads(file_of(tmp_path / "show.yaml").read_text())
    assert data["format"] == 1
    assert data["dancers"]["dancer1"]["turn"] == pytest.approx(-1.0)

"""Stages and lines: what a partner does when its dancer, its model or the network misbehaves."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from motion import rotations as rot
from motion.manifest import Param
from motion.skeleton import HUMANOID, Skeleton
from server.lines import DancerLine, PartnerLine
from server.params import ControlChange
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.stages.deglitch import Deglitch
from server.stages.retarget import Retarget
from server.stages.safety import NotFinite, Safety


def frame(number: int, x: float = 0.0, skeleton: Skeleton = HUMANOID) -> PoseFrame:
    rotations = np.tile(rot.IDENTITY, (len(skeleton), 1))
    return PoseFrame(skeleton, np.array([x, 0.88, 0.0]), rotations, number / 60, number / 60, number, "dancer1")


class Mirror:
    """A stage with a knob: moves sideways by it; fails on the frames it is told to."""

    params = (Param("shift", 0.0, -1.0, 1.0, half_life=0.0),)

    def __init__(self, fails_on: tuple[int, ...] = ()) -> None:
        self.fails_on, self.resets = fails_on, 0

    def reset(self) -> None:
        self.resets += 1

    def step(self, frame: PoseFrame, dt: float, params: Mapping[str, float]) -> PoseFrame:
        if frame.number in self.fails_on:
            raise RuntimeError("the model broke")
        moved = np.array([params["shift"] + 0.01 * frame.number, 0.0, 0.0])
        return replace(frame, root_position=frame.root_position + moved)


def show(stage: Mirror) -> Pipeline:
    dancer = DancerLine("dancer1", [Retarget(), Deglitch()], fps=60)
    return Pipeline([dancer], [PartnerLine("partner1", "dancer1", [stage, Safety()])])


def partner_x(pipeline: Pipeline, number: int) -> list[float]:
    return [float(p.root_position[0]) for p in pipeline.step("dancer1", frame(number)) if p.actor == "partner1"]


def test_every_actor_leaves_under_its_own_name_partners_first() -> None:
    assert [pose.actor for pose in show(Mirror()).step("dancer1", frame(0))] == ["partner1", "dancer1"]


def test_a_partner_carries_the_senders_time_of_the_dancers_frame() -> None:
    assert next(show(Mirror()).step("dancer1", frame(7))).sender_time == 7 / 60


def test_a_stage_that_raises_costs_no_tick_and_recovers() -> None:
    stage = Mirror(fails_on=(2, 3))
    pipeline = show(stage)
    places = [partner_x(pipeline, number)[0] for number in range(5)]
    assert places == pytest.approx([0.0, 0.01, 0.01, 0.01, 0.04])
    line = pipeline.partners["partner1"]
    assert (line.faults, line.state, stage.resets) == (2, "dancing", 2)
    assert line.last_fault == ""


def test_a_fault_before_the_first_pose_sends_nothing() -> None:
    assert partner_x(show(Mirror(fails_on=(0,))), 0) == []


def test_a_dancer_on_an_unknown_skeleton_is_counted_and_dropped() -> None:
    pipeline = show(Mirror())
    strange = Skeleton(("blob", "tail"), (-1, 0), np.zeros((2, 3)))
    assert list(pipeline.step("dancer1", frame(0, skeleton=strange))) == []
    assert partner_x(pipeline, 1) == pytest.approx([0.01])
    assert [pose.actor for pose in pipeline.step("dancer1", frame(2, skeleton=strange))] == ["partner1"]
    assert pipeline.partners["partner1"].state == "holding"
    assert pipeline.dancers["dancer1"].faults == 2


def test_freeze_holds_the_partner_and_lets_go_again() -> None:
    pipeline = show(Mirror())
    partner_x(pipeline, 1)
    assert pipeline.apply(ControlChange("show/freeze", 1.0))
    assert partner_x(pipeline, 2) == pytest.approx([0.01])
    pipeline.apply(ControlChange("show/freeze", 0.0))
    assert partner_x(pipeline, 3) == pytest.approx([0.03])


def test_a_param_reaches_its_stage() -> None:
    pipeline = show(Mirror())
    assert pipeline.apply(ControlChange("partner1/shift", 0.05))
    assert partner_x(pipeline, 0) == pytest.approx([0.05])


def test_a_param_moves_whether_or_not_the_other_dancer_is_there() -> None:
    lines = [PartnerLine(f"partner{n}", f"dancer{n}", [Mirror()]) for n in (1, 2)]
    pipeline = Pipeline([DancerLine(f"dancer{n}", [], fps=60) for n in (1, 2)], lines)
    pipeline.apply(ControlChange("partner2/shift", 0.5))
    assert next(pipeline.step("dancer2", frame(0))).root_position[0] == pytest.approx(0.5)


def test_releasing_a_pad_does_not_reset_again() -> None:
    stage = Mirror()
    pipeline = show(stage)
    for value in (1.0, 0.0):
        pipeline.apply(ControlChange("show/reset", value))
    assert stage.resets == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("show/freeze", float("nan")),
        ("show/freeze", (1.0, 1.0)),
        ("show/freez", 1.0),
        ("partner1/shif", 1.0),
        ("partner1/shift", float("nan")),
        ("partner1/shift", (0.1, 0.2)),
        ("*/latent_mix", (0.5,) * 32),
    ],
)
def test_a_control_change_that_makes_no_sense_is_refused(name: str, value: float | tuple[float, ...]) -> None:
    assert not show(Mirror()).apply(ControlChange(name, value))


def test_safety_refuses_numbers_that_are_not_finite() -> None:
    broken = frame(0)
    broken.rotations[3, 1] = np.nan
    with pytest.raises(NotFinite):
        Safety().step(broken, 1 / 60, {})


def test_safety_turns_a_jump_into_a_quick_move() -> None:
    safety = Safety(max_speed=6.0)
    safety.step(frame(0), 1 / 60, {})
    moved = [safety.step(frame(n, x=1.0), 1 / 60, {}).root_position[0] for n in range(1, 12)]
    assert np.diff([0.0, *moved]).max() <= 0.1 + 1e-9
    assert moved[-1] == pytest.approx(1.0)


def test_safety_limits_how_fast_a_joint_turns() -> None:
    safety = Safety(max_turn=6.0)
    safety.step(frame(0), 1 / 60, {})
    turned = frame(1)
    turned.rotations[5] = rot.yaw(2.0)
    assert rot.angle(safety.step(turned, 1 / 60, {}).rotations[5], rot.IDENTITY) == pytest.approx(0.1)


def test_safety_keeps_the_partner_on_the_stage() -> None:
    assert Safety(bounds=10.0).step(frame(0, x=40.0), 1 / 60, {}).root_position[0] == pytest.approx(10.0)

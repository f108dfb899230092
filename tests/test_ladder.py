"""The ladder: who dances where a model fails or is late, how they come back, and that nothing jumps."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from motion import rotations as rot
from motion.manifest import Param
from motion.skeleton import HUMANOID
from server.clock import FakeClock
from server.ladder_command import ladder_command
from server.lateness import Lateness
from server.lines import DancerLine, PartnerLine
from server.params import Changes, ControlChange, Knobs
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.show import partner_stages
from server.stages.ladder import (
    AUTO,
    DELAY,
    FIRST_TRY,
    FOLLOW,
    FULL,
    LAST_TRY,
    LIGHT,
    PROVES,
    STILL,
    UP_SECONDS,
    Ladder,
)
from server.tick import Tick

FPS = 60.0
FRAME = 1.0 / FPS
AWAY = np.array([0.0, 0.0, 2.0])


def dancer(number: int) -> PoseFrame:
    """Steps from side to side and turns with it, an arm swings."""
    phase = np.sin(np.pi * number * FRAME)
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    rotations[0] = rot.yaw(0.5 * phase)
    rotations[HUMANOID.index("LeftUpperArm")] = rot.from_euler("Z", np.array([0.8 * phase]))
    return PoseFrame(HUMANOID, np.array([0.3 * phase, 0.95, 0.0]), rotations, number * FRAME, number * FRAME, number)


class Model:
    """Two metres from the dancer and facing them; from `bad` on, until `good`, it does what `fault` does."""

    params = (Param("variety", 1.0, 0.0, 2.0, 0.0, ""),)
    latency = 0.25

    def __init__(self, fault: Callable[[PoseFrame], PoseFrame] | None = None, bad: int = 60, good: int = 10**9) -> None:
        self._fault, self._bad, self._good = fault, bad, good
        self.resets = self.steps = 0

    def reset(self) -> None:
        self.resets += 1

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        self.steps += 1
        rotations = frame.rotations.copy()
        rotations[0] = rot.multiply(rot.yaw(np.pi), rotations[0])
        pose = replace(frame, root_position=frame.root_position + AWAY, rotations=rotations)
        is_bad = self._fault is not None and self._bad <= frame.number < self._good
        return self._fault(pose) if is_bad and self._fault is not None else pose


def raises(frame: PoseFrame) -> PoseFrame:
    raise RuntimeError("CUDA is gone")


def says_nan(frame: PoseFrame) -> PoseFrame:
    return replace(frame, root_position=np.full(3, np.nan))


def danced(ladder: Ladder, frames: range, rungs: list[str] | None = None) -> list[PoseFrame]:
    poses = []
    for number in frames:
        poses.append(ladder.step(dancer(number), FRAME, {"variety": 1.0}))
        if rungs is not None:
            rungs.append(ladder.rung)
    return poses


def speeds(poses: list[PoseFrame]) -> np.ndarray:
    """Metres a second of the hips, and radians a second of the quickest joint."""
    hips = np.linalg.norm(np.diff([pose.root_position for pose in poses], axis=0), axis=1)
    turns = [rot.angle(a.rotations, b.rotations).max() for a, b in pairwise(poses)]
    return np.array([hips.max(), np.max(turns)]) * FPS


def test_while_all_is_well_the_model_s_poses_pass_untouched() -> None:
    ladder, model = Ladder(Model()), Model()
    for number, pose in enumerate(danced(ladder, range(120))):
        assert pose is not None
        expected = model.step(dancer(number), FRAME, {})
        assert np.array_equal(pose.rotations, expected.rotations)
        assert np.array_equal(pose.root_position, expected.root_position)
    assert (ladder.rung, ladder.faults, ladder.latency) == (FULL, 0, 0.25)


@pytest.mark.parametrize("fault", [raises, says_nan])
def test_a_model_that_fails_leaves_to_the_delayed_dancer_and_nothing_jumps(
    fault: Callable[[PoseFrame], PoseFrame],
) -> None:
    ladder = Ladder(Model(fault))
    rungs: list[str] = []
    poses = danced(ladder, range(300), rungs)
    assert rungs[61] == FULL  # two faults are held
    assert rungs[62:] == [FOLLOW] * (300 - 62)
    assert np.array_equal(poses[61].rotations, poses[59].rotations)
    assert all(np.isfinite(pose.root_position).all() for pose in poses)
    well = speeds(danced(Ladder(Model()), range(300)))
    assert (speeds(poses) < 2.5 * well).all()
    # from where the partner stood, what the dancer did DELAY ago, turned as they are
    late = [dancer(number - round(DELAY * FPS)) for number in range(200, 300)]
    turned = [np.diff([pose.root_position[0] for pose in part]) for part in (poses[200:], late)]
    np.testing.assert_allclose(np.abs(turned[0]), np.abs(turned[1]), atol=2e-3)
    arm = HUMANOID.index("LeftUpperArm")
    np.testing.assert_allclose(
        [pose.rotations[arm] for pose in poses[200:]], [pose.rotations[arm] for pose in late], atol=1e-9
    )
    assert np.linalg.norm(poses[-1].root_position - poses[59].root_position) < 1.0
    assert ladder.counts["falls"] == 1
    assert ladder.why.endswith("CUDA is gone") or "non-finite" in ladder.why


def test_a_model_that_is_well_again_comes_back_in_a_fade() -> None:
    model = Model(raises, 60, 90)
    ladder = Ladder(model)
    rungs: list[str] = []
    poses = danced(ladder, range(400), rungs)
    back = rungs.index(FULL, 70)
    assert back == pytest.approx(62 + FPS * (FIRST_TRY + PROVES), abs=2)
    assert (speeds(poses) < 3.0 * speeds(danced(Ladder(Model()), range(400)))).all()
    after = back + round(UP_SECONDS * FPS) + 1
    expected = [Model().step(dancer(number), FRAME, {}) for number in range(after, 400)]
    for pose, wanted in zip(poses[after:], expected, strict=True):
        assert np.array_equal(pose.rotations, wanted.rotations)


def test_tries_are_further_and_further_apart() -> None:
    model = Model(raises)
    ladder = Ladder(model)
    tries, steps = [], 0
    for number in range(round(100 * FPS)):
        danced(ladder, range(number, number + 1))
        if model.steps > steps and ladder.rung == FOLLOW:
            tries.append(number * FRAME)
        steps = model.steps
    waits = np.diff(tries[1:])
    assert waits[:5] == pytest.approx([2.0, 4.0, 8.0, 16.0, 30.0], abs=0.1)
    assert waits.max() <= LAST_TRY + 0.1


def test_a_light_model_dances_before_nobody_does() -> None:
    ladder = Ladder(Model(raises, 60), Model(raises, 120))
    rungs: list[str] = []
    danced(ladder, range(180), rungs)
    assert (rungs[100], rungs[125]) == (LIGHT, FOLLOW)
    assert ladder.rungs == (FULL, LIGHT, FOLLOW, STILL)


def test_a_rung_can_be_rehearsed_and_let_go() -> None:
    ladder = Ladder(Model())
    poses = danced(ladder, range(60))
    assert ladder.tell(STILL)
    poses += danced(ladder, range(60, 240))
    assert (ladder.rung, ladder.forced) == (STILL, True)
    assert np.array_equal(poses[-1].root_position, poses[-60].root_position)
    assert ladder.tell(AUTO)
    poses += danced(ladder, range(240, 480))
    assert (ladder.rung, ladder.forced) == (FULL, False)
    assert (speeds(poses) < 3.0 * speeds(danced(Ladder(Model()), range(480)))).all()
    assert not ladder.tell("sideways")
    assert not ladder.tell(LIGHT)  # there is none


def test_a_model_that_fails_before_anybody_was_seen_raises_and_goes_on() -> None:
    ladder = Ladder(Model(raises, 0, 5))
    for number in range(5):
        with pytest.raises(RuntimeError, match="CUDA"):
            danced(ladder, range(number, number + 1))
    danced(ladder, range(5, 10))
    assert ladder.rung == FULL


def test_late_is_not_one_hiccup() -> None:
    late = Lateness(FRAME)
    assert not any(late.spent(spent) for spent in [0.001] * 20 + [0.1] + [0.001] * 20)
    assert [late.spent(0.05) for _ in range(10)] == [False, False, False, False, True] * 2
    assert late.spent(0.3)


class Slow(Model):
    """Takes 50 ms of a clock from the 60th frame on."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        if frame.number >= 60:
            self._clock.advance(0.05)
        return super().step(frame, dt, params)


def line(model: Model) -> Pipeline:
    return Pipeline([DancerLine("dancer1", [], FPS)], [PartnerLine("partner1", "dancer1", partner_stages(model))])


def test_a_model_that_is_too_slow_leaves_and_its_tries_do_not_bring_it_back() -> None:
    clock, changes = FakeClock(), Changes()
    pipeline = line(Slow(clock))
    tick = Tick(pipeline, [], [], changes, clock, FPS, follow=True, judges=True)
    rungs = []
    for number in range(600):
        tick.arrive("dancer1", dancer(number))
        ladder = pipeline.partners["partner1"].ladder
        assert ladder is not None
        rungs.append(ladder.rung)
    assert rungs[60:65] == [FULL] * 5
    assert set(rungs[66:]) == {FOLLOW}
    assert pipeline.partners["partner1"].state == "dancing"


def test_faults_of_the_ladder_are_the_partner_s() -> None:
    pipeline = line(Model(raises, 10, 12))
    states = []
    for number in range(14):
        list(pipeline.step("dancer1", dancer(number)))
        partner = pipeline.partners["partner1"]
        states.append((partner.state, partner.faults, partner.last_fault))
    assert states[9] == ("dancing", 0, "")
    assert states[11] == ("holding", 2, "RuntimeError: CUDA is gone")
    assert states[13] == ("dancing", 2, "")


def test_the_command_says_what_it_did_and_what_there_is() -> None:
    pipeline, changes = line(Model()), Changes()
    assert ladder_command(changes, lambda: pipeline, ("follow",)) == "partner1: follow"
    assert ladder_command(changes, lambda: pipeline, ("partner1", "auto")) == "partner1: auto"
    assert list(changes.take()) == [ControlChange("ladder/partner1", "auto")]
    for arguments, words in (
        (("light",), "no rung 'light'; there are: full, follow, still, auto"),
        (("partner2", "still"), "no partner 'partner2'; there are: partner1"),
        ((1,), "takes a partner, if one is meant, and one of: full, light, follow, still, auto"),
    ):
        with pytest.raises(ValueError, match=words):
            ladder_command(changes, lambda: pipeline, arguments)
    assert pipeline.apply(ControlChange("ladder/*", "still"))
    assert not pipeline.apply(ControlChange("ladder/nobody", "still"))
    assert not pipeline.apply(ControlChange("ladder/partner1", 1.0))

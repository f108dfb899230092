"""A model that is stuck: somebody else's pose leaves in time, what came late is not shown, and the show goes on."""

import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.clock import FakeClock, MonotonicClock
from server.lines import DancerLine, PartnerLine
from server.params import Changes, Knobs
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.show import partner_stages
from server.stages.ladder import FOLLOW
from server.tick import Tick
from server.turn import Turn
from server.watchdog import Watchdog
from server.way_out import PATIENCE

FPS = 60.0
PERIOD = 1.0 / FPS
WAIT = 10.0  # seconds; a busy machine may be slow, a broken watchdog never comes


class Output:
    """Keeps what is sent, and when."""

    label = "a stage"

    def __init__(self, actor: str, clock: FakeClock | MonotonicClock) -> None:
        self.actor, self._clock = actor, clock
        self.sent: list[tuple[float, PoseFrame]] = []
        self.came = threading.Event()

    def send(self, frame: PoseFrame) -> None:
        self.sent.append((self._clock.now(), frame))
        if len(self.sent) > 3:
            self.came.set()


class Model:
    """Beside the dancer; the frame of `stuck` takes so many frames' time, in which the watchdog looks as it would."""

    params = ()

    def __init__(self, stuck: dict[int, int] | None = None) -> None:
        self.stuck, self.tick, self.clock = stuck or {}, None, None

    def reset(self) -> None: ...

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        end = self.clock.now() + self.stuck.get(frame.number, 0) * PERIOD
        while (again := self.tick.stand_in(self.clock.now())) < end:
            self.clock.sleep_until(again)
        self.clock.sleep_until(end)
        return replace(frame, root_position=frame.root_position + np.array([1.0, 0.0, 0.0]))


def frame_at(number: int, now: float) -> PoseFrame:
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    rotations[HUMANOID.index("LeftUpperArm")] = rot.from_euler("Z", np.array([0.5 * np.sin(4.0 * number * PERIOD)]))
    root = np.array([0.1 * np.sin(3.0 * number * PERIOD), 0.95, 0.0])
    return PoseFrame(HUMANOID, root, rotations, number * PERIOD, now, number)


class Told:
    """Hears of every turn."""

    def __init__(self) -> None:
        self.poses: list[PoseFrame] = []

    def turn(self, turn: Turn, frame: PoseFrame | None, poses: list[PoseFrame]) -> None:
        self.poses += [pose for pose in poses if pose.actor == "partner1"]


def danced(stuck: dict[int, int], frames: int = 120) -> tuple[Tick, Output, Told]:
    """A show by a clock that stands but for a model that is stuck; frames that came meanwhile are danced after it."""
    clock, model, told = FakeClock(), Model(stuck), Told()
    output = Output("partner1", clock)
    pipeline = Pipeline([DancerLine("dancer1", [], FPS)], [PartnerLine("partner1", "dancer1", partner_stages(model))])
    tick = Tick(pipeline, [output], [], Changes(), clock, FPS, follow=True, witnesses=[told], judges=True)
    model.tick, model.clock = tick, clock
    for number in range(frames):
        clock.sleep_until(number * PERIOD)
        tick.stand_in(clock.now())
        tick.arrive("dancer1", frame_at(number, clock.now()))
    return tick, output, told


def test_nobody_stands_in_while_all_is_well() -> None:
    tick, output, told = danced({})
    assert tick.stats.counts["stood_in"] == 0
    assert [pose for _, pose in output.sent] == told.poses


@pytest.mark.parametrize("late", [2, 3, 12])
def test_while_a_model_is_stuck_poses_leave_in_time_and_nothing_jumps(late: int) -> None:
    tick, output, told = danced({60: late})
    times = np.array([when for when, _ in output.sent])
    assert np.diff(times).max() <= (1.0 + PATIENCE) * PERIOD + 1e-5
    assert tick.stats.counts["stood_in"] >= late - 1
    stamps = [pose.receive_time for _, pose in output.sent]
    assert stamps == sorted(stamps)  # what came too late was not shown
    assert len(told.poses) == 120  # but danced: a replay dances it again
    steps = np.linalg.norm(np.diff([pose.root_position for _, pose in output.sent], axis=0), axis=1)
    assert steps.max() < 0.1 * 3.0 * PERIOD * (late + 2)


def test_a_model_that_is_stuck_for_long_leaves_to_the_ladder() -> None:
    tick, output, _ = danced({60: 20})
    ladder = tick.pipeline.partners["partner1"].ladder
    assert ladder is not None
    assert ladder.counts["falls"] == 1
    assert (ladder.rung, ladder.why) == (FOLLOW, "late")
    # what stood in went over to the dancer's own dance meanwhile
    arm = HUMANOID.index("LeftUpperArm")
    stood_in = [pose.rotations[arm] for when, pose in output.sent if 61 * PERIOD < when < 79 * PERIOD]
    assert rot.angle(np.array(stood_in[:-1]), np.array(stood_in[1:])).max() > 1e-3


def test_a_thread_looks_after_the_tick() -> None:
    """The model waits until three poses have left in its stead."""
    clock = MonotonicClock()
    output = Output("partner1", clock)

    class Waits(Model):
        def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
            if frame.number == 1:
                assert output.came.wait(WAIT)
            return frame

    line = PartnerLine("partner1", "dancer1", partner_stages(Waits()))
    tick = Tick(Pipeline([DancerLine("dancer1", [], FPS)], [line]), [output], [], None, clock, FPS, follow=True)
    watchdog = Watchdog(tick)
    with closing(watchdog):
        watchdog.start()
        for number in range(2):
            tick.arrive("dancer1", frame_at(number, clock.now()))
    assert tick.stats.counts["stood_in"] >= 3
    assert tick.stats.counts["watchdog_faults"] == 0

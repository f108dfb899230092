import numpy as np
import pytest

from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.timeline import FrameTimer, Timeline


def frame(number: int, sender_time: float | None, receive_time: float) -> PoseFrame:
    rotations = np.tile([0.0, 0.0, 0.0, 1.0], (22, 1))
    return PoseFrame(HUMANOID, np.array([float(number), 0.9, 0.0]), rotations, sender_time, receive_time, number, "d")


def test_late_and_repeated_frames_are_dropped_and_counted() -> None:
    timeline = Timeline()
    arrivals = [(0, 0.0), (1, 0.01), (1, 0.01), (2, 0.005), (3, 0.02)]
    kept = [timeline.put(frame(number, time, 0.01 * place)) for place, (number, time) in enumerate(arrivals)]
    assert kept == [True, True, False, False, True]
    assert timeline.counts == {"frames": 3, "duplicate": 1, "out_of_order": 1}


def test_a_coarse_clock_that_tells_two_poses_one_time_freezes_nobody() -> None:
    timeline = Timeline()
    assert [timeline.put(frame(n, 0.0, n * 0.01)) for n in range(3)] == [True, True, True]


def test_a_restarted_sender_is_picked_up_by_itself() -> None:
    timeline = Timeline()
    timeline.put(frame(0, 500.0, 0.0))
    assert timeline.put(frame(1, 0.0, 0.5))


def test_a_dancer_waits_lives_and_goes_stale() -> None:
    timeline = Timeline()
    assert timeline.state(0.0) == "waiting"
    timeline.put(frame(0, 0.0, 1.0))
    assert timeline.state(1.1) == "live"
    assert timeline.state(2.0) == "stale"


def test_a_moment_between_two_frames_is_interpolated() -> None:
    timeline = Timeline()
    timeline.put(frame(0, 0.0, 1.0))
    timeline.put(frame(1, 0.01, 1.01))
    pose = timeline.at(1.0025)
    assert pose is not None
    assert pose.root_position[0] == pytest.approx(0.25)
    assert timeline.at(2.0) is timeline.newest


def test_time_between_frames_is_the_senders_when_it_is_fine_enough() -> None:
    timer = FrameTimer(1 / 60)
    assert timer.step(frame(0, 1.0, 5.0)) == pytest.approx(1 / 60)
    assert timer.step(frame(1, 1.01, 5.03)) == pytest.approx(0.01)


@pytest.mark.parametrize("times", [(None, None), (1.0, 0.0), (100_000.0, 100_000.02)])
def test_time_between_frames_falls_back_on_arrival(times: tuple[float | None, float | None]) -> None:
    timer = FrameTimer(1 / 60)
    timer.step(frame(0, times[0], 5.0))
    assert timer.step(frame(1, times[1], 5.03)) == pytest.approx(0.03)


def test_a_long_gap_is_one_bounded_step() -> None:
    timer = FrameTimer(1 / 60)
    timer.step(frame(0, 0.0, 5.0))
    assert timer.step(frame(1, 60.0, 65.0)) == 0.25

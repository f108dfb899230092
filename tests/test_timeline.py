import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.clock_skew import ClockSkew
from server.protocols.frames import PoseFrame
from server.timeline import DECAY_SECONDS, PATIENCE_SECONDS, FrameTimer, Timeline


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


def test_a_sender_that_goes_back_by_less_is_picked_up_after_a_few_frames() -> None:
    timeline = Timeline()
    timeline.put(frame(0, 0.5, 0.0))
    kept = [timeline.put(frame(n, 0.01 * n, 0.01 * n)) for n in range(1, 12)]
    assert kept == [False] * 7 + [True] * 4


def test_frames_that_come_in_a_wrong_order_now_and_then_start_nothing_anew() -> None:
    timeline = Timeline()
    for n in range(100):
        timeline.put(frame(n, 0.02 * n + 0.02, 0.02 * n))
        assert not timeline.put(frame(n, 0.02 * n + 0.011, 0.02 * n))
    assert timeline.counts["sender_restarts"] == 0


def live_at(fps: float, frames: int = 20, **options: float) -> Timeline:
    """A dancer who walks at 1 m/s along x; their newest frame came at 0."""
    timeline = Timeline(**options)
    for n in range(1 - frames, 1):
        pose = frame(n, n / fps, n / fps)
        pose.root_position = np.array([n / fps, 0.9, 0.0])
        pose.rotations = np.tile(rot.yaw(n / fps), (22, 1))
        timeline.put(pose)
    return timeline


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_a_dancer_is_live_until_a_frame_is_missing_then_bridged_for_100_ms_then_stale(fps: float) -> None:
    assert Timeline().state(0.0) == "waiting"
    timeline = live_at(fps)
    due = 1 / fps + max(0.5 / fps, PATIENCE_SECONDS)
    assert [timeline.state(time) for time in (0.0, due - 0.001, due + 0.001, due + 0.099)] == [
        "live", "live", "bridged", "bridged",
    ]  # fmt: skip
    assert timeline.state(due + 0.101) == "stale"


@given(st.floats(0.0, 3.0), st.sampled_from([30.0, 60.0, 120.0]))
def test_a_bridge_goes_the_dancers_way_ever_slower_and_ends(seconds: float, fps: float) -> None:
    timeline = live_at(fps)
    pose, later = timeline.at(seconds), timeline.at(seconds + 0.01)
    assert pose is not None
    assert later is not None
    moved = later.root_position[0] - pose.root_position[0]
    assert -1e-9 <= moved <= 0.06
    assert 0.0 <= pose.root_position[0] <= DECAY_SECONDS
    np.testing.assert_allclose(pose.rotations[5], rot.yaw(pose.root_position[0]), atol=1e-9)
    if seconds > 0.2:
        assert moved == pytest.approx(0.0, abs=1e-9)


def test_without_a_bridge_the_newest_pose_is_held() -> None:
    timeline = live_at(60.0, bridge=0.0)
    assert timeline.at(0.1) is timeline.newest
    assert timeline.state(0.1) == "stale"


def test_a_glitch_is_not_carried_on() -> None:
    timeline = live_at(60.0)
    timeline.put(frame(5, 1 / 60, 1 / 60))  # a jump of 5 m
    assert timeline.at(0.1) is timeline.newest


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 50.0, 500.0])
def test_a_senders_clock_is_measured_through_the_networks_jitter(ppm: float) -> None:
    delays = np.random.default_rng(1).exponential(0.004, 60 * 60)
    timeline = Timeline()
    for n in range(60 * 60):
        timeline.put(frame(n, n / 60, 1000.0 + n / 60 * (1.0 + 1e-6 * ppm) + delays[n]))
    assert timeline.skew.ppm() == pytest.approx(ppm, abs=10.0)


def test_a_senders_clock_that_stands_still_has_no_skew():
    skew = ClockSkew()
    for second in range(30):
        skew.note(0.0, 100.0 + second)
    assert skew.ppm() is None


def test_a_moment_between_two_frames_is_interpolated() -> None:
    timeline = Timeline()
    timeline.put(frame(0, 0.0, 1.0))
    timeline.put(frame(1, 0.01, 1.01))
    pose = timeline.at(1.0025)
    assert pose is not None
    assert pose.root_position[0] == pytest.approx(0.25)
    assert timeline.at(2.0) is timeline.newest


def test_between_two_bodies_nobody_is_mixed() -> None:
    timeline, other = Timeline(), frame(1, 0.01, 1.01)
    other.skeleton = Skeleton(HUMANOID.names[:2], HUMANOID.parents[:2], HUMANOID.offsets[:2])
    other.rotations = other.rotations[:2]
    timeline.put(frame(0, 0.0, 1.0))
    timeline.put(other)
    seen = [timeline.at(time) for time in (1.004, 1.006, 1.07)]
    assert [len(pose.rotations) for pose in seen if pose is not None] == [22, 2, 2]


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

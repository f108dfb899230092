"""Awake and warm when a frame is due: when that is, what is rehearsed, and that the show's own state stays as it is."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.clock import FakeClock
from server.preset import load
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder, VmcEncoder
from server.receivers.cadence import REMEMBERED, Cadence
from server.receivers.readiness import Readiness
from server.rehearsal import REST_SECONDS, Rehearsal
from server.show import build_pipeline

LIVE = Path("presets/live_vmc.yaml")
INTERVAL = 1 / 120


def pose(number: int) -> PoseFrame:
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    return PoseFrame(
        HUMANOID, np.array([0.0, 0.9, 0.01 * number]), rotations, number * INTERVAL, 0.0, number, "dancer1"
    )


@settings(max_examples=50, deadline=None)
@given(st.floats(0.011, 0.045), st.integers(0, 2**32 - 1))
def test_the_next_frame_is_expected_at_the_senders_rate_whatever_is_lost_or_late(interval, seed):
    random, cadence = np.random.default_rng(seed), Cadence()
    jitter = 0.05 * interval
    for number in range(200):
        if random.random() < 0.1 and number < 150:
            continue
        arrival = 5.0 + number * interval + jitter * random.uniform(-1, 1)
        cadence.learn(arrival)
    assert cadence.due == pytest.approx(5.0 + 200 * interval, abs=2 * jitter)
    assert cadence.jitter < 0.15 * interval


def test_a_burst_at_the_start_does_not_hide_the_rate():
    cadence = Cadence()
    for arrival in (0.0, 0.00002, 0.00004):
        cadence.learn(arrival)
    for number in range(1, 2 * REMEMBERED):
        cadence.learn(number * INTERVAL)
    assert cadence.due == pytest.approx(2 * REMEMBERED * INTERVAL, abs=1e-4)


def test_a_slow_or_silent_sender_is_not_waited_for():
    cadence = Cadence()
    for number in range(20):
        cadence.learn(number * INTERVAL)
    cadence.learn(3.0)
    assert cadence.due == math.inf


class Wings:
    """A readiness on a fake clock, fed at 120 fps; a rehearsal takes 0.3 ms."""

    def __init__(self, useful: bool = True, datagrams=lambda frame: VmcEncoder().encode(frame)) -> None:
        self.clock, self.rehearsed, self.useful = FakeClock(), [], useful
        self.readiness = Readiness(VmcDecoder("dancer1"), self._rehearse, 0.004, self.clock.now)
        self.frames = 0
        self._datagrams = datagrams

    def _rehearse(self, frame: PoseFrame) -> bool:
        self.rehearsed.append(frame)
        self.clock.advance(0.0003)
        return self.useful

    def frame(self) -> None:
        self.clock.sleep_until(self.frames * INTERVAL)
        for datagram in self._datagrams(pose(self.frames)):
            self.readiness.heard(datagram)
        self.readiness.came(self.clock.now())
        self.frames += 1

    def wait(self) -> None:
        """Until the next frame is due, rehearsing as a receiver does."""
        while self.readiness.begins < self.frames * INTERVAL:
            self.clock.sleep_until(self.readiness.begins)
            self.readiness.rehearse()


def test_the_last_frame_is_rehearsed_until_the_next_is_due_and_no_longer():
    wings = Wings()
    for _ in range(200):
        wings.frame()
        wings.rehearsed.clear()
        wings.wait()
        assert wings.clock.now() <= wings.frames * INTERVAL
    assert len(wings.rehearsed) > 8  # 4 ms, 0.3 ms each
    assert {round(frame.root_position[2] / 0.01) for frame in wings.rehearsed} == {199}
    assert wings.readiness.ends > wings.frames * INTERVAL  # awake when the frame comes


def test_nobody_stays_awake_for_a_rehearsal_that_was_no_use():
    wings = Wings(useful=False)
    for _ in range(200):
        wings.frame()
        wings.wait()
    assert wings.rehearsed
    assert wings.readiness.ends == 0.0


def test_garbage_is_not_rehearsed():
    wings = Wings(datagrams=lambda frame: [b"garbage", b""])
    for _ in range(200):
        wings.frame()
        wings.wait()
    assert not wings.rehearsed


def test_a_rehearsal_leaves_the_show_as_it_is():
    preset, clock = load(LIVE), FakeClock()
    alone, rehearsed = (build_pipeline(preset, LIVE) for _ in range(2))
    rehearsal = Rehearsal(build_pipeline(preset, LIVE), {}, clock)
    for number in range(30):
        expected = [(p.root_position, p.rotations) for p in alone.step("dancer1", pose(number))]
        clock.advance(2 * REST_SECONDS)
        assert rehearsal.run("dancer1", pose(number))
        seen = [(p.root_position, p.rotations) for p in rehearsed.step("dancer1", pose(number))]
        np.testing.assert_equal(seen, expected)


def test_who_has_just_danced_needs_no_rehearsal():
    clock = FakeClock()
    rehearsal = Rehearsal(build_pipeline(load(LIVE), LIVE), {}, clock)
    clock.advance(1.0)
    rehearsal.worked()
    assert not rehearsal.run("dancer1", pose(1))
    clock.advance(2 * REST_SECONDS)
    assert rehearsal.run("dancer1", pose(1))
    assert rehearsal.run("dancer1", pose(1))  # over and over

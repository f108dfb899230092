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
from server.outputs import ActorOutput
from server.preset import load
from server.protocols import osc
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder, VmcEncoder
from server.receivers.cadence import REMEMBERED, Cadence
from server.receivers.readiness import Company, Readiness, Times
from server.rehearsal import Rehearsal
from server.senders.udp import UdpSender
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
    assert cadence.due == pytest.approx(5.0 + 200 * interval, abs=3 * jitter)
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
    """A readiness on a fake clock, fed at 120 fps; a rehearsal takes so many seconds, `waiting` of them for a core."""

    def __init__(self, takes: float = 0.0003, waiting: float = 0.0, fault: bool = False) -> None:
        self.clock, self.rehearsed = FakeClock(), []
        self.takes, self.waiting, self.fault = takes, waiting, fault
        self._worked = 0.0
        times = Times(self.clock.now, lambda: self._worked)
        self.readiness = Readiness(VmcDecoder("dancer1"), self._rehearse, 0.004, times)
        self.frames = self.late = 0

    def _rehearse(self, frame: PoseFrame) -> None:
        self.rehearsed.append(frame)
        self.clock.advance(self.takes)
        self._worked += self.takes - self.waiting
        if self.fault:
            raise RuntimeError

    def dance(self, frames: int, datagrams=lambda frame: VmcEncoder().encode(frame)) -> None:
        """Frames one interval apart, rehearsing in between as a receiver does."""
        for _ in range(frames):
            self.late += self.clock.now() > self.frames * INTERVAL + 1e-9
            self.clock.sleep_until(self.frames * INTERVAL)
            for datagram in datagrams(pose(self.frames)):
                self.readiness.heard(datagram)
            self.readiness.came(self.clock.now())
            self.frames += 1
            while self.readiness.begins < self.frames * INTERVAL:
                self.clock.sleep_until(self.readiness.begins)
                self.readiness.rehearse()


def test_the_last_frame_is_rehearsed_until_the_next_is_due_and_no_longer():
    wings = Wings()
    wings.dance(199)
    wings.rehearsed.clear()
    wings.dance(1)
    assert len(wings.rehearsed) > 8  # 4 ms, 0.3 ms each
    assert {round(frame.root_position[2] / 0.01) for frame in wings.rehearsed} == {199}
    assert wings.readiness.ends > wings.frames * INTERVAL  # awake when the frame comes
    assert wings.late == 0


def test_two_dancers_rehearse_in_turn_and_never_when_one_of_them_is_due():
    clock, company, rehearsed = FakeClock(), Company(), []
    times = Times(clock.now, clock.now)

    def rehearse(who):
        def run(frame):
            rehearsed.append((who, clock.now()))
            clock.advance(0.0003)

        return run

    two = [Readiness(VmcDecoder(), rehearse(who), 0.006, times, company) for who in range(2)]
    late = 0
    for number in range(2 * 200):
        due, mine = number * INTERVAL / 2, two[number % 2]
        for _ in range(100):
            waiting = [each for each in two if each.begins < due]
            if not waiting:
                break
            clock.sleep_until(min(each.begins for each in waiting))
            for each in waiting:
                each.rehearse()
        late += clock.now() > due + 1e-9
        clock.sleep_until(due)
        for datagram in VmcEncoder().encode(pose(number)):
            mine.heard(datagram)
        mine.came(clock.now())
    assert late == 0
    assert {who for who, _ in rehearsed} == {0, 1}
    assert len(rehearsed) > 400
    assert all(each.ends == 0.0 for each in two)  # nobody watches without sleeping


def test_a_rehearsal_too_long_for_its_time_delays_hardly_a_frame():
    wings = Wings(takes=0.006)
    wings.dance(2000)
    assert wings.late <= 0.02 * 2000


def test_where_others_need_the_core_rehearsals_pause():
    wings = Wings(takes=0.0008, waiting=0.0006)
    wings.dance(1200)
    assert len(wings.rehearsed) < 100
    wings.waiting = 0.0
    wings.dance(600)
    assert len(wings.rehearsed) > 500  # and begin again


def test_blend_shapes_beside_the_bones_are_no_hindrance():
    shapes = osc.Template([("/VMC/Ext/Blend/Val", (f"shape{n}", 0.5)) for n in range(9)], bundle=False)
    wings = Wings()
    wings.dance(200, lambda frame: [*shapes.fill(np.empty(0)), *VmcEncoder().encode(frame)])
    assert wings.rehearsed


def test_garbage_is_not_rehearsed():
    wings = Wings()
    wings.dance(200, lambda frame: [b"garbage", b""])
    assert not wings.rehearsed


def test_a_rehearsal_that_raises_is_counted_and_given_a_rest():
    wings = Wings(fault=True)
    wings.dance(600)
    assert 1 <= wings.readiness.faults <= 4


def test_a_rehearsal_leaves_the_show_as_it_is_and_sends_nothing():
    preset = load(LIVE)
    alone, rehearsed = (build_pipeline(preset, LIVE) for _ in range(2))
    output = ActorOutput("partner1", VmcEncoder, UdpSender("127.0.0.1", 39538), "VMC")
    rehearsal = Rehearsal(build_pipeline(preset, LIVE), {"partner1": [output]})
    for number in range(30):
        expected = [(p.root_position, p.rotations) for p in alone.step("dancer1", pose(number))]
        rehearsal.run("dancer1", pose(number))
        seen = [(p.root_position, p.rotations) for p in rehearsed.step("dancer1", pose(number))]
        np.testing.assert_equal(seen, expected)
    assert not output.sender.counts
    output.close()

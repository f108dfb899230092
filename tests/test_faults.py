"""What a network and a suit can do to a show, by a clock of its own: poses go on leaving, the partner is back in time.

The shipped partner dances with a generated dancer over VMC, once well and once with a fault.
"""

from collections.abc import Callable
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import weather
from motion import kinematics
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server import preset as presets
from server.clock import FakeClock
from server.params import Changes
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.vmc import VmcDecoder, VmcEncoder
from server.receivers.bvh_player import BvhPlayer
from server.receivers.peers import Peers
from server.show import build_pipeline
from server.tick import HELD_FPS, Tick
from weather import BEGINS, ENDS, Arrival, Weather

PRESETS = Path(__file__).resolve().parents[1] / "presets"
FPS = 60.0
LONG = BEGINS + 10.0  # seconds: where a fault that lasts ends
RECOVERS = 2.0  # seconds
LONGEST_GAP = 0.06  # seconds without a pose: until a frame is missed, and a beat of who holds the silent


class Show(NamedTuple):
    """times (N,), the partner's joints (N, 22, 3), and where the dancer's hips really were (N, 3)."""

    times: np.ndarray
    joints: np.ndarray
    dancer: np.ndarray
    tick: Tick

    def apart(self, begin: float, end: float) -> np.ndarray:
        """Metres from the dancer's hips to the partner's, over the floor."""
        part = (begin <= self.times) & (self.times < end)
        return np.hypot(*(self.joints[part, 0] - self.dancer[part])[:, [0, 2]].T)


class Output:
    label, actor = "a stage", "partner1"

    def __init__(self) -> None:
        self.poses: list[tuple[float, PoseFrame]] = []
        self.now: Callable[[], float] = lambda: 0.0

    def send(self, frame: PoseFrame) -> None:
        self.poses.append((self.now(), frame))


@cache
def frames(seconds: float, fps: float) -> list[PoseFrame]:
    clip = load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip
    return list(islice(BvhPlayer(clip, fps, loop=True).frames(), round(seconds * fps)))


def danced(change: Weather | None, seconds: float, fps: float = FPS) -> Show:
    """A whole show, packet by packet."""
    path = PRESETS / "live_vmc.yaml"
    clock, output = FakeClock(), Output()
    output.now = clock.now
    pipeline = build_pipeline(presets.load(path), path, 1)
    tick = Tick(pipeline, [output], [], Changes(), clock, fps, follow=True)
    truth = frames(seconds, fps)
    arrivals = [Arrival(n / fps, frame) for n, frame in enumerate(truth)]
    peers = Peers(partial(VmcDecoder, "dancer1"))
    encoders = {weather.SUIT: VmcEncoder(), weather.OTHER: VmcEncoder()}
    beats = [(beat / HELD_FPS + 0.002, None) for beat in range(round(seconds * HELD_FPS))]
    events = [(a.time, a) for a in (arrivals if change is None else change(arrivals)) if a.time < seconds]
    for time, arrival in sorted([*events, *beats], key=lambda event: event[0]):
        clock.sleep_until(time)
        now = clock.now()
        if peers.deadline is not None and now >= peers.deadline:
            for frame in peers.flush(now):
                tick.arrive("dancer1", frame)
        if arrival is None:
            tick.hold_the_silent(now)
            continue
        for datagram in encoders[arrival.source].encode(arrival.frame):
            try:
                for frame in peers.feed(memoryview(datagram), arrival.source, now):
                    tick.arrive("dancer1", frame)
            except PacketError:  # the receiver counts it
                continue
    times = np.array([when for when, _ in output.poses])
    joints = kinematics.global_positions(
        HUMANOID,
        np.array([pose.root_position for _, pose in output.poses]),
        np.array([pose.rotations for _, pose in output.poses]),
    )
    there = np.clip((times * fps).astype(int), 0, len(truth) - 1)
    return Show(times, joints, np.array([truth[n].root_position for n in there]), tick)


@cache
def well(seconds: float, fps: float = FPS) -> Show:
    return danced(None, seconds, fps)


@pytest.mark.parametrize(
    ("change", "ends", "fps"),
    [
        pytest.param(weather.lost(0.2), ENDS, FPS, id="20 % of all frames lost"),
        pytest.param(weather.during(weather.burst), ENDS, FPS, id="bursts of 500 ms"),
        pytest.param(weather.jitter(0.1), ENDS, FPS, id="100 ms of jitter, in another order"),
        pytest.param(weather.during(weather.as_in_a_hall), ENDS, 120.0, id="120 Hz as they came in a hall"),
        pytest.param(weather.during(weather.twice), ENDS, FPS, id="every frame twice"),
        pytest.param(lambda arrivals: weather.frozen_suit(arrivals, LONG), LONG, FPS, id="the dancer freezes"),
        pytest.param(weather.silence(LONG), LONG, FPS, id="the suit is silent"),
        pytest.param(weather.changed(weather.teleported, 0.2), ENDS, FPS, id="teleports"),
        pytest.param(weather.changed(weather.not_a_number, 0.3), ENDS, FPS, id="sensors that say what is no number"),
        pytest.param(weather.changed(weather.t_pose, 0.1), ENDS, FPS, id="T-poses in between"),
        pytest.param(weather.during(weather.another_suit), ENDS, FPS, id="two suits on one port"),
        pytest.param(weather.clock_step, BEGINS, FPS, id="the sender's clock falls back"),
    ],
)
def test_poses_go_on_leaving_and_the_partner_is_back_in_time(change: Weather, ends: float, fps: float) -> None:
    seconds = ends + RECOVERS + 2.0
    show, undisturbed = danced(change, seconds, fps), well(seconds, fps)
    assert np.diff(show.times).max() <= LONGEST_GAP
    assert np.isfinite(show.joints).all()
    steps = np.linalg.norm(np.diff(show.joints, axis=0), axis=2).max(axis=1)
    gaps = np.maximum(np.diff(show.times), 1.0 / fps)
    usual = np.linalg.norm(np.diff(undisturbed.joints, axis=0), axis=2).max() * fps
    assert (steps / gaps).max() < max(2.5 * usual, 12.0)  # nothing jumps
    band = undisturbed.apart(0.0, seconds)
    apart = show.apart(ends + RECOVERS, seconds)
    assert band.min() - 0.3 < apart.min()
    assert apart.max() < band.max() + 0.3
    assert show.tick.stats.counts["tick_faults"] == 0


def test_a_step_of_this_machine_s_clock_changes_no_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter(range(0, 10**9, 3600))  # an hour further every time it is asked
    monkeypatch.setattr("time.time", lambda: float(next(wall)))
    show = danced(None, 2.0)
    monkeypatch.undo()
    assert next(wall) > 3600 * 100  # it was asked
    np.testing.assert_array_equal(show.times, well(2.0).times)
    np.testing.assert_array_equal(show.joints, well(2.0).joints)

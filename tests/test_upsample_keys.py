"""Keys of a suit on this machine's clock, whatever the suit's own clock does."""

import numpy as np
import pytest

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.stages.key_clock import RECENT
from server.stages.keys import Keys

FPS = 30.0
STANDING = np.tile(rot.IDENTITY, (len(HUMANOID), 1))


def key(number: int, sent: float | None, arrived: float) -> PoseFrame:
    return PoseFrame(HUMANOID, np.zeros(3), STANDING, sent, arrived, number)


def told(clock, count: int = 240, jitter: float = 0.0) -> tuple[Keys, np.ndarray]:
    """Keys whose sender's clock says so of the true time; by how much each was misplaced, seconds."""
    late = jitter * np.abs(np.random.default_rng(0).standard_normal(count))
    keys, off = Keys(), []
    for number in range(count):
        true = number / FPS
        keys.add(key(number, clock(true), 100.0 + true + late[number]))
        off.append(keys.newest - 100.0 - true)
    return keys, np.array(off)


CLOCKS = {
    "none": lambda t: None,
    "stands still": lambda t: 0.0,
    "of whole seconds": lambda t: float(int(t)),
    "of tenths": lambda t: round(t, 1),
    "of hundredths": lambda t: round(t, 2),
    "of float32 in the evening": lambda t: float(np.float32(64800.0 + t)),
    "of float32 since 1970": lambda t: float(np.float32(1.7e9 + t)),
    "in milliseconds": lambda t: 1000.0 * t,
    "at half the pace": lambda t: 0.5 * t,
    "at twice the pace": lambda t: 2.0 * t,
    "a percent slow": lambda t: 0.99 * t,
    "set back": lambda t: t if t < 4.0 else t - 0.5,
    "set forward": lambda t: t if t < 4.0 else t + 0.5,
    "started again": lambda t: t % 4.0,
    "runs backwards": lambda t: -t,
}


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_keys_are_where_they_were_whatever_the_senders_clock_does(clock):
    keys, off = told(clock)
    assert np.abs(off).max() < 0.1
    assert np.abs(off[RECENT:]).max() < 0.025  # 20 ms are a percent of the two seconds that are remembered
    assert keys.interval == pytest.approx(1 / FPS, rel=0.06)
    assert keys.patience < 0.03
    assert keys.added == 240


def test_a_good_clock_takes_the_networks_jitter_out():
    keys, off = told(lambda t: 5.0 + t, jitter=0.008)
    assert off[30:].std() < 0.0005
    assert 0.008 < keys.patience < 0.02
    _, by_arrival = told(lambda t: None, jitter=0.008)
    assert by_arrival.std() > 0.004


def test_a_clock_that_goes_wrong_is_believed_again_when_it_has_gone_right_for_long():
    keys, _ = told(lambda t: 0.0 if t < 2.0 else t, count=90)
    assert not keys._clock.believed
    keys, off = told(lambda t: 0.0 if t < 2.0 else t, count=360, jitter=0.008)
    assert keys._clock.believed
    assert off[-30:].std() < 0.001


def test_a_network_that_stuck_and_comes_in_a_burst_is_no_fault_of_the_clock():
    keys, off = Keys(), []
    for number in range(120):
        true = number / FPS
        arrived = max(true, 2.4) if 2.0 < true <= 2.4 else true
        keys.add(key(number, true, 100.0 + arrived))
        off.append(keys.newest - 100.0 - true)
    assert keys._clock.believed
    assert np.abs(off).max() < 1e-9


@pytest.mark.parametrize("sent", [None, 0.0])
def test_keys_that_arrive_at_once_count_as_one(sent):
    keys = Keys()
    assert keys.add(key(0, sent, 100.0))
    assert not keys.add(key(1, sent, 100.0))
    assert keys.added == 1

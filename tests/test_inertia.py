"""Inertialisation: nothing pops at a seam, neither place nor pace, and what was added melts away."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import rotations as rot
from motion.inertia import Inertia, Moving

DT = 1.0 / 120.0
seeds = st.integers(0, 2**32 - 1)


def dance(seed: int, spread: float = 0.4):
    """A smooth movement of three joints: seconds -> root (3,), rotations (3, 4)."""
    random = np.random.default_rng(seed)
    phase, size = random.uniform(0.0, 6.0, (4, 3)), random.normal(0.0, spread, (4, 3))

    def at(seconds: float) -> tuple[np.ndarray, np.ndarray]:
        wave = size * np.sin(3.0 * seconds + phase)
        return wave[3], rot.from_vector(wave[:3])

    return at


def crossed(seed: int, frames: int = 240) -> tuple[list, list]:
    """What is shown when the second dance takes over from the first at frame 60, and the second dance itself."""
    first, second, inertia = dance(seed), dance(seed + 1), Inertia(0.1)
    shown = [first(frame * DT) for frame in range(60)]
    inertia.seam(Moving.of(shown[-2], shown[-1], DT), Moving.of(second(58 * DT), second(59 * DT), DT))
    plain = [second(frame * DT) for frame in range(60, frames)]
    return shown + [inertia.step(*pose, DT) for pose in plain], plain


def speeds(poses: list) -> np.ndarray:
    """(T - 1, 4, 3): each joint's turning and the root's velocity."""
    moved = [Moving.of(before, now, DT) for before, now in pairwise(poses)]
    return np.stack([np.concatenate([each.turning, each.velocity[None]]) for each in moved])


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_the_pace_is_continuous_at_the_seam(seed):
    shown, _ = crossed(seed)
    change = np.abs(np.diff(speeds(shown), axis=0)).max(axis=(1, 2))
    # The dances' own accelerations are up to 3² · 1.5; the spring adds those of an offset that melts in 0.1 s.
    assert change[57:62].max() < 5.0
    cut = np.abs(np.diff(speeds([*shown[:60], *crossed(seed)[1]]), axis=0)).max()
    assert change.max() < 0.2 * cut or cut < 5.0


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_a_second_later_only_the_new_movement_is_left(seed):
    shown, plain = crossed(seed)
    assert rot.angle(shown[-1][1], plain[-1][1]).max() < 1e-2
    np.testing.assert_allclose(shown[-1][0], plain[-1][0], atol=1e-2)


def test_a_seam_between_a_movement_and_itself_is_none():
    walk, inertia = dance(3), Inertia()
    now = Moving.of(walk(0.0), walk(DT), DT)
    inertia.seam(now, now)
    root, rotations = inertia.step(*walk(2 * DT), DT)
    np.testing.assert_allclose(root, walk(2 * DT)[0], atol=1e-12)
    assert rot.angle(rotations, walk(2 * DT)[1]).max() < 1e-9


def test_the_spring_is_the_same_in_one_long_step_and_many_short_ones():
    first, second = dance(5), dance(6)
    springs = [Inertia(0.2), Inertia(0.2)]
    for spring in springs:
        spring.seam(Moving.of(first(0.0), first(DT), DT), Moving.of(second(0.0), second(DT), DT))
    still = second(DT)
    for _ in range(10):
        short = springs[0].step(*still, DT)
    long = springs[1].step(*still, 10 * DT)
    np.testing.assert_allclose(short[0], long[0], atol=1e-12)
    assert rot.angle(short[1], long[1]).max() < 1e-9


def test_without_a_seam_or_after_a_reset_frames_pass_as_they_are():
    walk, inertia = dance(7), Inertia()
    assert inertia.step(*walk(0.0), DT)[1] is not None
    inertia.seam(Moving.of(walk(0.0), walk(DT), DT), Moving.of(walk(1.0), walk(1.0 + DT), DT))
    inertia.reset()
    np.testing.assert_array_equal(inertia.step(*walk(0.0), DT)[1], walk(0.0)[1])


def test_a_half_life_of_nothing_is_refused():
    with pytest.raises(ValueError, match="half_life 0"):
        Inertia(0.0)

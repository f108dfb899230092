"""What a network and a suit do to a stream: arrivals in, arrivals out. Seeded, on made-up time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame

BEGINS, ENDS = 3.0, 5.0  # seconds, of every fault but where a longer one is meant
# How much later than the quickest frames of an OptiTrack system came that sent 120 a second through a hall's network:
# milliseconds by quantile, of 518 frames in 4.3 s (a capture of NatNet 3.0).
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
LATER_MS = (0.0, 0.196, 0.351, 0.479, 0.614, 0.885, 1.144, 4.751)
SUIT, OTHER = ("127.0.0.1", 5000), ("127.0.0.1", 6000)


class Arrival(NamedTuple):
    """A frame on its way: when it comes, from where."""

    time: float
    frame: PoseFrame
    source: tuple[str, int] = SUIT


Weather = Callable[[list[Arrival]], list[Arrival]]


def during(change: Callable[[Arrival, np.random.Generator], list[Arrival]], ends: float = ENDS) -> Weather:
    """Does something to what comes while the fault lasts."""

    def weather(arrivals: list[Arrival]) -> list[Arrival]:
        random = np.random.default_rng(1)
        changed = [each for a in arrivals for each in (change(a, random) if BEGINS <= a.time < ends else [a])]
        return sorted(changed, key=lambda a: a.time)

    return weather


def lost(share: float) -> Weather:
    return during(lambda a, random: [] if random.random() < share else [a])


def jitter(seconds: float) -> Weather:
    """Later by up to so much, each by itself: many overtake others."""
    return during(lambda a, random: [a._replace(time=a.time + seconds * random.random())])


def as_in_a_hall(a: Arrival, random: np.random.Generator) -> list[Arrival]:
    """As late as a real system's frames came."""
    return [a._replace(time=a.time + 1e-3 * float(np.interp(random.random(), QUANTILES, LATER_MS)))]


def burst(a: Arrival, random: np.random.Generator) -> list[Arrival]:
    """Half a second of nothing, then all of it at once, four times."""
    return [a._replace(time=BEGINS + 0.5 * (1 + (a.time - BEGINS) // 0.5))]


def changed(frame: Callable[[PoseFrame, np.random.Generator], PoseFrame], share: float) -> Weather:
    """Some frames are others."""
    return during(lambda a, random: [a._replace(frame=frame(a.frame, random)) if random.random() < share else a])


def teleported(frame: PoseFrame, random: np.random.Generator) -> PoseFrame:
    return replace(frame, root_position=frame.root_position + random.uniform(-4.0, 4.0, 3))


def not_a_number(frame: PoseFrame, random: np.random.Generator) -> PoseFrame:
    rotations = frame.rotations.copy()
    rotations[random.integers(len(rotations))] = np.nan
    return replace(frame, rotations=rotations)


def t_pose(frame: PoseFrame, random: np.random.Generator) -> PoseFrame:
    return replace(frame, rotations=np.tile(rot.IDENTITY, (len(HUMANOID), 1)), root_position=np.array([0.0, 0.95, 0.0]))


def twice(a: Arrival, random: np.random.Generator) -> list[Arrival]:
    return [a, a._replace(time=a.time + 0.001)]


def another_suit(a: Arrival, random: np.random.Generator) -> list[Arrival]:
    """Somebody two metres away, on the same port."""
    other = replace(a.frame, root_position=a.frame.root_position + np.array([2.0, 0.0, 0.0]))
    return [a, Arrival(a.time + 0.004, other, OTHER)]


def frozen_suit(arrivals: list[Arrival], ends: float) -> list[Arrival]:
    """The suit sends on what it sent last."""
    still = next(a.frame for a in arrivals if a.time >= BEGINS)
    return [
        a._replace(frame=replace(still, sender_time=a.frame.sender_time)) if BEGINS <= a.time < ends else a
        for a in arrivals
    ]


def clock_step(arrivals: list[Arrival]) -> list[Arrival]:
    """The sender's clock falls back by an hour."""
    return [
        a._replace(frame=replace(a.frame, sender_time=a.frame.sender_time - 3600.0))
        if a.time >= BEGINS and a.frame.sender_time is not None
        else a
        for a in arrivals
    ]


def silence(ends: float) -> Weather:
    return during(lambda a, random: [], ends)

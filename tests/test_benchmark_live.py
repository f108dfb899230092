"""The benchmarks of whole shows: a real server hears a suit and answers; what an evening's figures are made of."""

import os
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.live import dance, serving
from benchmarks.soak import Evening
from motion.load import load_humanoid
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

PRESETS = Path(__file__).resolve().parents[1] / "presets"


@pytest.fixture(scope="module")
def frames() -> list[PoseFrame]:
    return list(islice(BvhPlayer(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, 60.0).frames(), 240))


def test_partners_of_two_suits_are_heard(frames: list[PoseFrame]) -> None:
    heard = []
    with serving(PRESETS / "live_vmc.yaml", ["vmc", "mocopi"], 1, 20.0) as served:
        danced = dance(frames[:40], served.lanes, 20.0, heard=lambda place, pose, _: heard.append((place, pose)))
    assert danced.sent == len(danced.send_errors) == 80
    assert 0 < len(danced.latencies) == len(heard) <= 80  # how many come in time is for the benchmark to say
    assert {place for place, _ in heard} == {0, 1}
    assert all(np.isfinite(pose.root_position).all() for _, pose in heard)


def evening(frames: list[PoseFrame], answer: list[PoseFrame]) -> Evening:
    """Two recordings of a second, of which each is a minute."""
    told = Evening(os.getpid(), 60.0, minute=60, end=120)
    for number, _ in enumerate(told.watched(iter(frames[:130]))):
        told(0, answer[number], 0.001)
    return told


def test_a_partner_that_does_the_same_again_does_not_drift(frames: list[PoseFrame]) -> None:
    again = [*frames[:60], *frames[:60], *frames[:10]]
    # the step from one recording into the next is in the last part alone
    assert evening(again, again).drift_percent() < 120.0
    slower = [replace(pose, root_position=0.5 * pose.root_position) for pose in frames[:60]]
    tired = evening(again, [*frames[:60], *slower, *frames[:10]]).drift_percent()
    assert tired is not None
    assert tired > 40.0


def test_poses_that_are_no_numbers_are_counted_and_left_out(frames: list[PoseFrame]) -> None:
    again = [*frames[:60], *frames[:60], *frames[:10]]
    broken = list(again)
    broken[30] = replace(broken[30], root_position=np.array([np.nan, 0.0, 0.0]))
    told = evening(again, broken)
    assert told.nonfinite == 1
    assert told.drift_percent() is not None


def test_an_evening_that_nobody_answered_has_no_figures() -> None:
    told = Evening(os.getpid(), 60.0, minute=60, end=120)
    assert told.drift_percent() is None
    assert told.growth_mb() is None

"""The benchmarks of whole shows: a real server hears a suit and answers; what an evening's figures are made of."""

import json
import os
import sys
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.live import Lane, dance, on_lanes, serving
from benchmarks.profile import suits_of
from benchmarks.soak import Evening
from benchmarks.stages import Stopwatch, breakdown
from motion.load import load_humanoid
from server import preset as presets
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

PRESETS = Path(__file__).resolve().parents[1] / "presets"


@pytest.fixture(scope="module")
def frames() -> list[PoseFrame]:
    return list(islice(BvhPlayer(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, 60.0).frames(), 240))


def test_partners_of_two_suits_are_heard(frames: list[PoseFrame]) -> None:
    heard: list[tuple[int, PoseFrame]] = []
    until_both_are = takewhile(lambda _: {place for place, _ in heard} != {0, 1}, frames)  # soon, on an idle machine
    with serving(PRESETS / "live_vmc.yaml", ["vmc", "mocopi"], 1, 20.0) as served:
        danced = dance(until_both_are, served.lanes, 20.0, heard=lambda place, pose, _: heard.append((place, pose)))
    assert danced.sent == len(danced.send_errors)
    assert 0 < len(danced.latencies) == len(heard) <= danced.sent  # how many come in time is for the benchmark to say
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


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_show_can_be_measured(path: Path) -> None:
    suits = suits_of(presets.load(path))
    lanes = [Lane(suit, 40000 + place, (41000 + place,)) for place, suit in enumerate(suits)]
    shown = presets.parse(on_lanes(yaml.safe_load(path.read_text()), path.parent, lanes, 60.0), path)
    assert [dancer.receive for dancer in shown.dancers.values()] == suits
    assert [partner.model for partner in shown.partners.values()] == [
        partner.model for partner in presets.load(path).partners.values()
    ]


def test_the_time_of_a_frame_is_told_to_the_parts_that_took_it() -> None:
    now = 0.0
    watch = Stopwatch(lambda: now)

    def work(milliseconds: float) -> None:
        nonlocal now
        now += 1e-3 * milliseconds

    model, send = watch.around("model", work), watch.around("send", work)
    partner = watch.around("partner", lambda: (work(0.25), model(2.0), work(0.25)))

    def take(receiver: object, datagram: bytes, source: object, receive_time: float) -> None:
        work(1.0)
        if datagram == b"whole":
            partner()
            send(0.5)
            send(4.0)

    taken = watch.of_frames(take)
    model(8.0)  # a rehearsal is of no frame
    begun = now
    taken(None, b"half", None, begun)
    taken(None, b"whole", None, now)
    assert now - begun == pytest.approx(9e-3)
    assert len(watch.frames) == 1
    assert breakdown(watch.frames) == pytest.approx(
        {"model": 2e3, "partner": 0.5e3, "send": 0.5e3, "between": 2e3, "server": 5e3, "afterwards": 4e3}
    )


def test_a_server_with_a_stopwatch_dances_and_tells_its_parts(frames: list[PoseFrame], tmp_path: Path) -> None:
    out = tmp_path / "stages.json"
    command = [sys.executable, "-m", "benchmarks.stages"]
    with serving(PRESETS / "live_vmc.yaml", ["vmc"], 1, 20.0, lambda file: [*command, str(file), str(out)]) as served:
        heard: list[float] = []
        until_somebody_is = takewhile(lambda _: not heard, frames)
        dance(until_somebody_is, served.lanes, 20.0, heard=lambda place, pose, latency: heard.append(latency))
    parts = json.loads(out.read_text())
    server, _ = parts.pop("server"), parts.pop("afterwards")
    assert heard
    assert {"decode", "retarget", "deglitch", "ladder", "safety", "encode", "send"} <= parts.keys()
    assert sum(parts.values()) == pytest.approx(server)

"""One show takes over from another: what is seen on the way, what may differ, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server import preset as presets
from server.clock import FakeClock
from server.lines import DancerLine, PartnerLine
from server.params import Changes, ControlChange
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.switch import differences
from server.tick import Successor, Tick

DEMO = Path(__file__).resolve().parents[1] / "presets/demo.yaml"


def frame(number: int) -> PoseFrame:
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    return PoseFrame(HUMANOID, np.array([0.0, 0.88, 0.0]), rotations, number / 60, number / 60, number, "dancer1")


class Shifted:
    """A partner who stands so far to the left, an arm turned."""

    params = ()

    def __init__(self, x: float, turn: float = 0.0) -> None:
        self.x, self.turn, self.steps = x, turn, 0

    def reset(self) -> None:
        pass

    def step(self, frame: PoseFrame, dt: float, params: object) -> PoseFrame:
        self.steps += 1
        rotations = frame.rotations.copy()
        rotations[7] = rot.yaw(self.turn)
        return PoseFrame(
            HUMANOID,
            frame.root_position + np.array([self.x, 0.0, 0.0]),
            rotations,
            frame.sender_time,
            frame.receive_time,
            frame.number,
        )


def show(*partners: tuple[str, Shifted]) -> Pipeline:
    return Pipeline(
        [DancerLine("dancer1", [], 60.0)], [PartnerLine(name, "dancer1", [stage]) for name, stage in partners]
    )


def dance(pipeline: Pipeline, numbers: range, actor: str = "partner1") -> np.ndarray:
    """Where an actor is, and how far their arm is turned, by frame (T, 2)."""
    poses = [pose for n in numbers for pose in pipeline.step("dancer1", frame(n)) if pose.actor == actor]
    return np.array([[p.root_position[0], rot.angle(p.rotations[7], rot.IDENTITY)] for p in poses])


def test_a_partner_goes_over_evenly_and_nobody_jumps() -> None:
    old, new = show(("partner1", Shifted(0.0))), show(("partner1", Shifted(1.0, turn=2.0)))
    dance(old, range(10))
    new.take_over(old, 1.0)
    seen = dance(new, range(10, 80))
    assert seen[0] == pytest.approx([0.0, 0.0], abs=1e-7)
    assert (np.diff(seen, axis=0) >= -1e-6).all()
    assert (
        np.abs(np.diff(seen, axis=0)).max() < 2.0 * 1.5 / 60 + 1e-6
    )  # a smoothstep is 1.5 times as fast in the middle
    assert seen[-1] == pytest.approx([1.0, 2.0])
    assert not new.crossing


def test_the_old_show_dances_on_until_it_has_faded_and_no_longer() -> None:
    stage = Shifted(0.0)
    old, new = show(("partner1", stage)), show(("partner1", Shifted(1.0)))
    dance(old, range(1))
    new.take_over(old, 0.5)
    dance(new, range(1, 61))
    assert stage.steps == 1 + 31  # half a second, both ends included


def test_the_dancers_are_taken_over_as_they_are() -> None:
    old, new = show(("partner1", Shifted(0.0))), show(("partner1", Shifted(1.0)))
    line = old.dancers["dancer1"]
    new.take_over(old, 0.5)
    assert new.dancers["dancer1"] is line


def test_a_frozen_show_stays_frozen_and_fades_when_it_dances_on() -> None:
    old, new = show(("partner1", Shifted(0.0))), show(("partner1", Shifted(1.0)))
    dance(old, range(3))
    old.apply(ControlChange("show/freeze", 1.0))
    new.take_over(old, 0.5)
    assert dance(new, range(3, 60))[:, 0] == pytest.approx(0.0)
    new.apply(ControlChange("show/freeze", 0.0))
    assert dance(new, range(60, 120))[-1, 0] == pytest.approx(1.0)


def test_a_show_that_takes_over_in_the_middle_of_a_fade_goes_on_from_what_is_seen() -> None:
    first, second, third = (show(("partner1", Shifted(x))) for x in (0.0, 1.0, 2.0))
    dance(first, range(1))
    second.take_over(first, 1.0)
    before = dance(second, range(1, 31))[-1, 0]
    third.take_over(second, 1.0)
    seen = dance(third, range(31, 120))[:, 0]
    assert seen[0] == pytest.approx(before, abs=0.03)
    assert seen[-1] == pytest.approx(2.0)


def test_before_anybody_was_seen_there_is_nothing_to_fade_from() -> None:
    old, new = show(("partner1", Shifted(0.0))), show(("partner1", Shifted(1.0)))
    new.take_over(old, 10.0)
    assert not new.crossing
    assert dance(new, range(1))[0, 0] == 1.0


def test_a_tick_hands_over_to_a_successor_and_forgets_who_is_gone() -> None:
    old = show(("partner1", Shifted(0.0)), ("partner2", Shifted(0.0)))
    tick = Tick(old, [], [], Changes(), FakeClock(), 60.0, follow=True)
    tick.arrive("dancer1", frame(0))
    new = show(("partner1", Shifted(1.0)), ("partner3", Shifted(0.0)))
    tick.succeed(Successor("act2", new, None, 1.0))
    tick.arrive("dancer1", frame(1))
    assert tick.pipeline is new
    assert set(tick.way_out.latest) == {"dancer1", "partner1", "partner3"}
    assert tick.stats.counts["switches"] == 1


def loaded(suit: dict[str, Any], *outputs: dict[str, Any], **changes: Any) -> presets.Preset:
    data = yaml.safe_load(DEMO.read_text()) | {"dancers": {"dancer1": suit}, "outputs": outputs, "stage_page": "off"}
    return presets.parse(data | changes, DEMO)


VMC, TD = ({"send": send, "actor": "partner1"} for send in ("vmc", "touchdesigner"))
MOCOPI = {"receive": "mocopi"}


@pytest.mark.parametrize(
    ("other", "faults"),
    [
        (loaded({"receive": "xsens", "character": 1}, VMC), ["dancers.dancer1.receive is xsens, in the show mocopi"]),
        (
            loaded(MOCOPI | {"port": 5000, "allow": ["10.0.0.1"]}, VMC),
            ["dancers.dancer1.allow is ('10.0.0.1',), in the show ()", "dancers.dancer1.port is 5000, in the"],
        ),
        (loaded(MOCOPI, VMC | {"port": 39541}), ["outputs.0.port is 39541, in the show 39539"]),
        (loaded(MOCOPI, TD), ["outputs.0.send is touchdesigner, in the show vmc"]),
        (loaded(MOCOPI), ["outputs is (), in the show ({'every': 1,"]),
        (loaded(MOCOPI, VMC, TD), ["outputs.1 is {'profile': 'touchdesign"]),
        (loaded(MOCOPI, VMC, control="off"), ["control is None, in the show {"]),
        (loaded(MOCOPI, VMC, seed=9, cues=[{"still": True}]), []),
    ],
)
def test_each_key_that_keeps_a_preset_from_taking_over_is_named_with_both_values(
    other: presets.Preset, faults: list[str]
) -> None:
    found = sorted(differences(loaded(MOCOPI, VMC), other))
    assert len(found) == len(faults)
    assert all(fault.startswith(begin) for fault, begin in zip(found, faults, strict=True)), found


def test_of_two_long_paths_the_ends_are_told(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 60)
    folder.mkdir()
    takes = [folder / "a.bvh", folder / "b.bvh"]
    for take in takes:
        take.touch()
    (fault,) = differences(*(loaded({"receive": "bvh", "file": str(take)}, VMC) for take in takes))
    assert "b.bvh, in the show" in fault
    assert fault.endswith("a.bvh")

"""The knobs that every partner has: what each does to a dance, that none breaks a pose, and that none jumps."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.load import load_humanoid
from motion.manifest import Param
from motion.skeleton import HUMANOID
from server import preset as presets
from server.lines import DancerLine, PartnerLine
from server.params import ControlChange, Knobs
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.show import build_pipeline, partner_stages
from server.stages import Stage
from server.stages.energy import livelier
from server.stages.sides import reflected
from server.stages.turns import turned

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "presets/demo.yaml"
FPS = 60.0
TOES = HUMANOID.both_sides("Toes")

numbers = st.floats(-1.0, 1.0)
units = st.tuples(numbers, numbers, numbers, numbers).filter(lambda q: math.hypot(*q) > 0.1)
axes = st.tuples(numbers, numbers, numbers).filter(lambda axis: math.hypot(*axis) > 0.1)
QUICK = settings(deadline=None, max_examples=40)


class Copy:
    """A partner who dances what the dancer does; it can read ahead, which shows as height."""

    params: tuple[Param, ...] = (Param("lead", 0.1, 0.0, 0.4),)

    def reset(self) -> None:
        pass

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        return replace(frame, root_position=frame.root_position + np.array([0.0, params["lead"] - 0.1, 0.0]))


@pytest.fixture(scope="module")
def take() -> Clip:
    """Eight seconds of the demo dancer."""
    return load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[:480]


def show(stages: list[Stage] | None = None, **start: float) -> Pipeline:
    line = PartnerLine("partner1", "dancer1", stages or partner_stages(Copy()))
    return Pipeline([DancerLine("dancer1", [], FPS)], [line], {f"partner1/{knob}": v for knob, v in start.items()})


def dance(pipeline: Pipeline, frames: list[PoseFrame], turn: dict[int, tuple[str, float]] | None = None) -> Clip:
    """The partner's clip; `turn` says which knob is set to what before which frame."""
    poses = []
    for number, frame in enumerate(frames):
        if number in (turn or {}):
            knob, value = turn[number]
            assert pipeline.apply(ControlChange(f"partner1/{knob}", value))
        poses += [pose for pose in pipeline.step("dancer1", frame) if pose.actor == "partner1"]
    return Clip(HUMANOID, FPS, np.array([p.root_position for p in poses]), np.array([p.rotations for p in poses]))


def played(clip: Clip) -> list[PoseFrame]:
    return [
        PoseFrame(HUMANOID, pose.root_position, pose.rotations, number / FPS, number / FPS, number, "dancer1")
        for number, pose in enumerate(clip)
    ]


def joints(clip: Clip) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)


def fastest(clip: Clip) -> float:
    """The largest step of any joint between two frames, metres."""
    return float(np.linalg.norm(np.diff(joints(clip), axis=0), axis=-1).max())


def test_every_knob_is_in_the_one_table_with_its_range() -> None:
    table = {p.name: (p.default, p.low, p.high) for p in show().table}
    assert table == {
        "partner1/anticipation": (0.0, -2.0, pytest.approx(0.3)),
        "partner1/counter": (0.0, 0.0, 1.0),
        "partner1/facing": (0.0, -math.pi, math.pi),
        "partner1/energy": (1.0, 0.5, 1.5),
        "partner1/smoothing": (0.0, 0.0, 1.0),
        "partner1/stillness": (0.0, 0.0, 1.0),
    }


def test_the_control_page_lists_every_knob_with_its_default() -> None:
    page = (ROOT / "docs/control.md").read_text(encoding="utf-8")
    for param in show().table:
        knob = param.name.removeprefix("partner1/")
        assert re.search(rf"^\| `{knob}` \| .*, {param.default:g} \|", page, re.MULTILINE), knob


def test_a_model_that_has_a_knob_itself_keeps_its_own() -> None:
    class Lively(Copy):
        params = (Param("energy", 0.0, -1.0, 1.0), Param("lead", 0.1, 0.0, 0.4))

    table = {p.name: p.default for p in show(partner_stages(Lively())).table}
    assert table["partner1/energy"] == 0.0


@pytest.mark.parametrize("again", [False, True])
def test_knobs_at_their_defaults_change_nothing_bit_for_bit(take: Clip, again: bool) -> None:
    """Also when they have been somewhere else and are back."""
    plain = dance(show([Copy()], lead=0.1), played(take))
    knobs = {"anticipation": -0.2, "counter": 1.0, "facing": 1.0, "energy": 1.3, "smoothing": 0.1, "stillness": 1.0}
    turn = {place: (knob, value) for place, (knob, value) in enumerate(knobs.items())}
    defaults = dict.fromkeys(knobs, 0.0) | {"energy": 1.0}
    turn |= {30 + place: (knob, value) for place, (knob, value) in enumerate(defaults.items())}
    made = dance(show(), played(take), turn if again else None)
    end = slice(360, None) if again else slice(None)
    assert np.array_equal(made.rotations[end], plain.rotations[end])
    assert np.array_equal(made.root_positions[end], plain.root_positions[end])


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("anticipation", -1.0),
        ("anticipation", 0.3),
        ("counter", 1.0),
        ("facing", 3.0),
        ("energy", 1.5),
        ("energy", 0.5),
        ("smoothing", 0.5),
        ("stillness", 1.0),
    ],
)
def test_a_knob_that_is_turned_live_never_jumps(take: Clip, knob: str, value: float) -> None:
    before = {"energy": 1.0}.get(knob, 0.0)
    made = dance(show(), played(take), {120: (knob, value), 300: (knob, before)})
    # The dance itself, half again as fast or wild, and a knob's own way: at most a body's width within its half-life.
    assert fastest(made) < 1.5 * fastest(dance(show(), played(take))) + 0.06
    lengths = np.linalg.norm(joints(made)[:, 1:] - joints(made)[:, HUMANOID.parents[1:]], axis=-1)
    np.testing.assert_allclose(lengths, np.tile(np.linalg.norm(HUMANOID.offsets[1:], axis=-1), (480, 1)), atol=1e-9)


def test_a_still_partner_stands_on_the_floor_and_does_not_move(take: Clip) -> None:
    made = dance(show(), played(take), {60: ("stillness", 1.0)})
    still = slice(360, None)
    assert np.ptp(made.rotations[still], axis=0).max() == np.ptp(made.root_positions[still], axis=0).max() == 0.0
    places = joints(made)
    assert places[-1, :, 1].min() == pytest.approx(0.021)  # where HUMANOID's toes are at rest
    hands = [HUMANOID.index("LeftHand"), HUMANOID.index("RightHand")]
    assert (places[-1, hands, 1] < places[-1, 0, 1]).all()


def test_an_echo_is_the_dance_of_so_long_ago(take: Clip) -> None:
    made = dance(show(), played(take), {0: ("anticipation", -1.0)})
    np.testing.assert_allclose(made.root_positions[300:], take.root_positions[240:420], atol=1e-3)
    assert rot.angle(made.rotations[300:], take.rotations[240:420]).max() < 0.02


def test_an_echo_is_shown_as_latency() -> None:
    pipeline = show()
    dance(pipeline, [standing(n) for n in range(400)], {0: ("anticipation", -2.0)})
    assert pipeline.partners["partner1"].latency == 2.0


def standing(number: int) -> PoseFrame:
    time = number / FPS
    identity = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    return PoseFrame(HUMANOID, np.array([time, 0.88, 0.0]), identity, time, time, number, "dancer1")


@QUICK
@given(st.lists(st.tuples(st.integers(0, 300), st.floats(-2.0, 0.3)), max_size=6))
def test_however_anticipation_is_turned_the_dance_runs_between_half_and_one_and_a_half_times_as_fast(
    turns: list[tuple[int, float]],
) -> None:
    """The dancer walks a metre a second, so where the partner is tells what moment of the dance is shown."""
    made = dance(show(), [standing(n) for n in range(301)], {n: ("anticipation", value) for n, value in turns})
    speeds = np.diff(made.root_positions[:, 0]) * FPS
    assert speeds.min() > 0.5 - 1e-6 - 0.01  # the last 0.1 ms are made up in one frame
    assert speeds.max() < 1.5 + 1e-6 + 0.01


def test_anticipation_ahead_is_the_models_lead_from_its_default_on() -> None:
    made = dance(show(), [standing(n) for n in range(301)], {0: ("anticipation", 0.3)})
    assert made.root_positions[-1, 1] - 0.88 == pytest.approx(0.3)
    assert np.diff(made.root_positions[:, 1]).max() < 0.5 / FPS + 1e-9


def test_a_model_that_cannot_read_ahead_says_so() -> None:
    class Plain(Copy):
        params: tuple[Param, ...] = ()

    anticipation = next(p for p in show(partner_stages(Plain())).table if p.name == "partner1/anticipation")
    assert anticipation.high == 0.0
    assert "does not read ahead" in anticipation.about


def test_facing_turns_the_partner_on_the_spot(take: Clip) -> None:
    made = dance(show(facing=math.pi / 2), played(take))
    np.testing.assert_array_equal(made.root_positions, take.root_positions)
    front = np.array([0.0, 0.0, 1.0])
    was, now = rot.rotate(take.rotations[:, 0], front), rot.rotate(made.rotations[:, 0], front)
    np.testing.assert_allclose(now[:, 0], was[:, 2], atol=1e-9)


@QUICK
@given(st.lists(units, min_size=len(HUMANOID), max_size=len(HUMANOID)), numbers, numbers, st.floats(-3.0, 3.0))
def test_a_reflected_body_is_the_mirror_image_with_left_and_right_exchanged(
    body: list[tuple[float, ...]], x: float, z: float, angle: float
) -> None:
    root, q = np.array([x, 0.9, z]), rot.normalize(np.array(body))
    centre, ahead = np.array([z, 0.0, x]), np.array([math.sin(angle), 0.0, math.cos(angle)])
    across = np.array([ahead[2], 0.0, -ahead[0]])
    there = reflected(root, q, centre, ahead)
    places = kinematics.global_positions(HUMANOID, root, q)
    image = places - 2.0 * ((places - centre) @ across)[:, None] * across
    other = {"Left": "Right", "Righ": "Left"}
    order = [
        HUMANOID.index(other.get(n[:4], "") + n.removeprefix("Left").removeprefix("Right")) for n in HUMANOID.names
    ]
    np.testing.assert_allclose(kinematics.global_positions(HUMANOID, *there), image[order], atol=1e-9)
    back = reflected(*there, centre, ahead)
    np.testing.assert_allclose(back[0], root, atol=1e-12)
    assert rot.angle(back[1], q).max() < 1e-6


def test_a_countering_partner_is_as_high_over_the_floor_and_hardly_slides(take: Clip) -> None:
    made, plain = joints(dance(show(counter=1.0), played(take)))[120:], joints(take)[120:]
    np.testing.assert_allclose(made[..., 1].min(axis=-1), plain[..., 1].min(axis=-1), atol=1e-9)

    def slide(places: np.ndarray) -> float:
        """Mean speed of toes lower than 5 cm, m/s."""
        toes = places[:, TOES]
        speed = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1) * FPS
        return float(speed[toes[1:, :, 1] < 0.05].mean())

    # A mirror that turned with the body at once would add 0.65 m/s; one that never followed, nothing.
    assert slide(made) < slide(plain) + 0.2


def test_while_sides_are_exchanged_feet_stay_on_the_floor(take: Clip) -> None:
    made = joints(dance(show(), played(take), {120: ("counter", 1.0)}))
    lowest, plain = made[..., 1].min(axis=-1), joints(take)[..., 1].min(axis=-1)
    np.testing.assert_allclose(lowest, plain, atol=1e-9)


@pytest.mark.parametrize("energy", [0.5, 1.5])
def test_energy_scales_the_movement_and_leaves_standing_feet_where_they_are(take: Clip, energy: float) -> None:
    made, plain = joints(dance(show(energy=energy), played(take))), joints(take)
    hand = [HUMANOID.index("LeftHand"), HUMANOID.index("RightHand")]

    def moved(places: np.ndarray) -> float:
        """Mean speed of the hands against the hips."""
        return float(np.linalg.norm(np.diff(places[:, hand] - places[:, :1], axis=0), axis=-1).mean())

    assert moved(made) / moved(plain) > 1.1 if energy > 1.0 else moved(made) / moved(plain) < 0.8
    low = plain[:, TOES, 1] < 0.05
    np.testing.assert_allclose(made[:, TOES][low], plain[:, TOES][low], atol=1e-9)
    assert (made[..., 1].min(axis=-1) > plain[..., 1].min(axis=-1) - 1e-3).all()


@QUICK
@given(units, axes, st.floats(0.5, 1.5))
def test_energy_is_continuous_even_half_a_turn_from_the_mean(
    mean: tuple[float, ...], axis: tuple[float, ...], energy: float
) -> None:
    still, across = rot.normalize(np.array([mean])), np.array(axis) / math.hypot(*axis)

    def lively(angle: float) -> np.ndarray:
        way = np.append(across * math.sin(angle / 2), math.cos(angle / 2))
        return livelier(rot.multiply(still, way), still, np.array([energy]))

    assert rot.angle(lively(math.pi - 1e-4), lively(math.pi + 1e-4))[0] < 1e-3


@QUICK
@given(units, st.floats(0.0, 1.0))
def test_shares_of_a_turn_add_up_to_it(q: tuple[float, ...], share: float) -> None:
    whole = rot.normalize(np.array(q))
    parts = rot.multiply(turned(whole, share), turned(whole, 1.0 - share))
    np.testing.assert_allclose(parts, whole, atol=1e-8)


def test_smoothing_is_halfway_after_its_half_life() -> None:
    step = [replace(standing(n), root_position=np.array([float(n > 0), 0.88, 0.0])) for n in range(20)]
    made = dance(show(smoothing=0.1), step)
    assert made.root_positions[6, 0] == pytest.approx(0.5)


def test_a_preset_and_osc_name_them_alike(tmp_path: Path) -> None:
    data = yaml.safe_load(DEMO.read_text())
    data["dancers"]["dancer1"]["file"] = str(ROOT / "presets/clips/demo_dancer.bvh")
    data["partners"]["partner1"] |= {
        "model": str(ROOT / "presets/models/salsa_duet.onnx"),
        "params": {"energy": 1.25, "anticipation": -0.5},
    }
    (tmp_path / "show.yaml").write_text(yaml.safe_dump(data))
    pipeline = build_pipeline(presets.load(tmp_path / "show.yaml"), tmp_path / "show.yaml")
    assert pipeline.params.target("partner1/energy") == 1.25
    assert pipeline.apply(ControlChange("partner1/facing", -1.0))
    assert pipeline.params.target("partner1/facing") == -1.0

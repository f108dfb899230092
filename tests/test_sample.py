"""A partner who is told where hands and feet are to be, and dances on: least squares alone, without a model."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import kinematics
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server.desk import Desk
from server.lines import DancerLine, PartnerLine
from server.params import Changes
from server.pipeline import Pipeline
from server.preset import PresetError, parse
from server.protocols.frames import PoseFrame
from server.show import build_pipeline
from server.stages.pose_expert import PoseExpert
from server.stages.sample import Sample
from server.stages.sample_wishes import Wishes, check
from server.stages.worker import idle

PRESETS = Path(__file__).resolve().parents[1] / "presets"
FPS = 60.0
CLIP = load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip[:240]
HAND = HUMANOID.index("LeftHand")


def frame(number: int) -> PoseFrame:
    now = number / FPS
    return PoseFrame(HUMANOID, CLIP.root_positions[number], CLIP.rotations[number], now, now, number, "partner1")


def joints(pose: PoseFrame) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, pose.root_position, pose.rotations)


def danced(sample: Sample, first: int = 0, last: int = len(CLIP)) -> list[PoseFrame]:
    return [sample.step(frame(number), 1.0 / FPS, {"sampling": 1.0}) for number in range(first, last)]


def test_where_nothing_is_wished_the_dance_is_not_touched() -> None:
    sample = Sample(PoseExpert(None, 0))
    given_in = [frame(number) for number in range(20)]
    assert all(sample.step(pose, 1.0 / FPS, {"sampling": 1.0}) is pose for pose in given_in)
    going = Sample(
        PoseExpert(None, 0), wishes=Wishes({"goto": (1.0, 0.0), "facing": (180.0,)}, moves=True)
    )  # not a pose's matter
    assert all(going.step(pose, 1.0 / FPS, {"sampling": 1.0}) is pose for pose in given_in)


def test_wishes_that_contradict_each_other_are_named_without_a_model() -> None:
    sample = Sample(PoseExpert(None, 0))
    for wish, numbers in {"pin/LeftHand": (0.3, 1.0, 0.5), "limit/LeftHand": (1.0, 0.0, 0.0, 0.0)}.items():
        assert sample.wishes.obey(f"sample/{wish}", numbers)
    danced(sample, 0, 20)
    assert sample.answer.infeasible == ("limit/LeftHand against pin of LeftHand",)
    assert sample.wishes.obey("sample/free/LeftHand", ())
    assert sample.wishes.obey("sample/limit/LeftHand", (1.0, 0.0, 0.0, 0.0))
    danced(sample, 20, 40)
    assert sample.answer.infeasible == ()


def test_a_prior_draws_a_point_near_the_surer_the_more() -> None:
    def off(deviation: float | None) -> float:
        sample, place = Sample(PoseExpert(None, 0)), joints(frame(60))[HAND] + [0.1, 0.2, 0.1]
        if deviation is not None:
            assert sample.wishes.obey("sample/prior/LeftHand", (*place, deviation))
        return float(np.linalg.norm(joints(danced(sample, 0, 61)[-1])[HAND] - place))

    assert off(0.02) < 0.6 * off(None)  # the dance goes on beneath
    assert off(0.02) < off(1.0) < off(None)


def test_the_weight_of_a_limit_is_how_little_it_gives_way_to_a_pin() -> None:
    def beyond(weight: float) -> float:
        sample = Sample(PoseExpert(None, 0))
        sample.wishes.obey("sample/pin/Head", (0.4, 1.5, 0.0))
        sample.wishes.obey("sample/limit/Head", (1.0, 0.0, 0.0, 0.0, weight))
        return float(joints(danced(sample, 0, 60)[-1])[HUMANOID.index("Head"), 0])

    assert beyond(0.01) > 0.2
    assert beyond(1.0) < 0.05


@pytest.mark.parametrize("degrees", [180.0, -135.0, 360.0])
def test_a_partner_may_look_anywhere(degrees: float) -> None:
    assert Wishes(moves=True).obey("sample/facing", (degrees,))


def test_a_pinned_hand_comes_to_its_place_stays_and_nothing_jumps() -> None:
    sample, place = Sample(PoseExpert(None, 0)), joints(frame(30))[HAND] + [0.1, 0.2, 0.1]
    before = danced(sample, 0, 30)
    assert sample.wishes.obey("sample/pin/LeftHand", tuple(place))
    after = danced(sample, 30)
    assert np.linalg.norm([joints(pose)[HAND] - place for pose in after[30:]], axis=-1).max() < 0.002
    told, was = (np.array([joints(pose) for pose in poses]) for poses in ([*before, *after], map(frame, range(240))))
    fastest = np.linalg.norm(np.diff(was, axis=0), axis=-1).max()
    assert np.linalg.norm(np.diff(told, axis=0), axis=-1).max() < 1.3 * fastest
    lengths = [np.linalg.norm(told[:, j] - told[:, p], axis=-1) for j, p in enumerate(HUMANOID.parents) if p >= 0]
    assert max(np.ptp(length) for length in lengths) < 1e-9


def test_what_is_freed_comes_back_to_the_dance() -> None:
    sample = Sample(PoseExpert(None, 0))
    sample.wishes.obey("sample/pin/LeftHand", (0.4, 1.2, 0.3))
    danced(sample, 0, 60)
    assert sample.wishes.obey("sample/free/LeftHand", ())
    last = danced(sample, 60)[-1]
    np.testing.assert_array_equal(last.rotations, frame(239).rotations)


def test_a_hand_follows_the_dancer_s() -> None:
    sample = Sample(PoseExpert(None, 0), wishes=Wishes(follow={"RightHand": "LeftHand"}))
    off = []
    for number in range(150):
        dancer = replace(frame(number), root_position=CLIP.root_positions[number] + [0.0, 0.0, 0.5])
        sample.watch.step(dancer, 1.0 / FPS, {})
        pose = sample.step(frame(number), 1.0 / FPS, {"sampling": 1.0})
        off.append(np.linalg.norm(joints(pose)[HUMANOID.index("RightHand")] - joints(dancer)[HAND]))
    assert np.median(off[60:]) < 0.03


@pytest.mark.parametrize(("wish", "sign"), [("circle", 1.0), ("keep_away", -1.0)])
def test_a_body_stays_in_a_circle_or_out_of_it(wish: str, sign: float) -> None:
    sample, middle = Sample(PoseExpert(None, 0), every=1), CLIP.root_positions[120]
    assert sample.wishes.obey(f"sample/{wish}", (middle[0] + 0.3, middle[2], 0.25))
    poses = danced(sample)[60:]
    far = [np.linalg.norm(joints(pose)[0, [0, 2]] - [middle[0] + 0.3, middle[2]]) for pose in poses]
    assert max(sign * (np.array(far) - 0.25)) < 1e-6


def test_a_partner_keeps_apart_from_their_dancer() -> None:
    sample = Sample(PoseExpert(None, 0))
    assert sample.wishes.obey("sample/apart", (0.6,))
    near = []
    for number in range(90):
        dancer = replace(frame(number), root_position=CLIP.root_positions[number] + [0.2, 0.0, 0.3])
        sample.watch.step(dancer, 1.0 / FPS, {})
        pose = sample.step(frame(number), 1.0 / FPS, {"sampling": 1.0})
        near.append(np.linalg.norm((pose.root_position - dancer.root_position)[[0, 2]]))
    assert min(near[40:]) > 0.6 - 1e-6


def test_a_late_worker_leaves_the_limb_to_hold_its_pin() -> None:
    sample, place = Sample(PoseExpert(None, 0), worker=idle), joints(frame(40))[HAND] * [1.0, 0.97, 1.0]
    sample.wishes.obey("sample/pin/LeftHand", tuple(place))
    off = [np.linalg.norm(joints(pose)[HAND] - place) for pose in danced(sample, 0, 60)]
    assert sample.counts["late_samples"] > 0
    assert off[40] < 1e-3


def test_a_worker_that_raises_is_counted_and_the_dance_goes_on() -> None:
    def failing() -> Any:
        def run(work: Callable[[], Any]) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(ArithmeticError("no pose"))
            return future

        return run

    sample = Sample(PoseExpert(None, 0), worker=failing)
    sample.wishes.obey("sample/pin/Head", (0.0, 1.5, 0.0))
    poses = danced(sample, 0, 20)
    assert sample.counts["sampler_faults"] > 0
    assert np.isfinite([joints(pose) for pose in poses]).all()


@pytest.mark.parametrize(
    ("name", "numbers", "said"),
    [
        ("sample/pin/LeftElbow", (0, 0, 0), "LeftHand"),
        ("sample/pin/LeftHand", (0, 0), "it takes 3: x y z"),
        ("sample/pin/LeftHand", (0, float("nan"), 0), "finite"),
        ("sample/pin/LeftHand", (0, 0, 0, -1), "weight -1"),
        ("sample/pin/LeftHand", (1000, 0, 0), "farther than 100"),
        ("sample/pin/Hips", (0, 50, 0), "50 is a height that no body reaches: -3 to 3 metres"),
        ("sample/floor", (-4,), "-4 is a height that no body reaches"),
        ("sample/limit/Head", (0, 0, 0, 1), "has none"),
        ("sample/circle", (0, 0, 0), "radius 0"),
        ("sample/circle/Head", (0, 0, 1), "whole body"),
        ("sample/prior/Head", (0, 1, 0, 0), "deviation 0"),
        ("sample/hop", (), "there are: /sample/pin/<point>"),
        ("sample/free/Nose", (), "there are: LeftHand"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_choices(name: str, numbers: tuple[float, ...], said: str) -> None:
    assert said in (check(name, numbers) or "")
    assert not Wishes().obey(name, numbers)


KINDS = {
    "limit": (0, 1, 0, 2),
    "circle": (0, 0, 2),
    "keep_away": (0, 0, 1),
    "floor": (0,),
    "apart": (1,),
    "prior": (0, 1, 0, 0.1),
}
NAMES = ("limit/Head", "apart", "limit/Hips", "circle", "keep_away", "floor", "prior/Head", "prior/Hips")


@given(st.lists(st.sampled_from(NAMES)))
@settings(deadline=None, max_examples=50)
def test_there_are_never_more_limits_than_slots(names: list[str]) -> None:
    wishes = Wishes()
    for name in names:
        wishes.obey(f"sample/{name}", KINDS[name.partition("/")[0]])
    planes, priors = wishes.half_spaces(joints(frame(0)), joints(frame(0))), wishes.priors()
    assert len(planes) + 3 * len(priors) <= 16


def desk_of(pipeline: Pipeline) -> tuple[Desk, Changes]:
    changes = Changes()
    return Desk(changes, lambda: pipeline), changes


def asked(desk: Desk, address: str, *arguments: Any) -> list[Any]:
    answers: list[Any] = []
    desk.ask(address, arguments, lambda *said: answers.extend(said), lambda *said: answers.extend(said))
    return answers


def test_wishes_over_osc_reach_the_sampler_and_are_told() -> None:
    sample = Sample(PoseExpert(None, 0))
    pipeline = Pipeline([DancerLine("dancer1", [], FPS)], [PartnerLine("partner1", "dancer1", [sample])])
    desk, changes = desk_of(pipeline)
    for address, arguments in (
        ("/sample/pin/LeftHand", (0.1, 1.0, 0.2)),
        ("/partner1/sample/pin/Head", (0, 1.5, 0, 2)),
        ("/sample/floor", (0,)),
    ):
        asked(desk, address, *arguments)
    assert all(pipeline.apply(change) for change in changes.take())
    assert sample.wishes.told == {"pin/LeftHand": (0.1, 1.0, 0.2), "pin/Head": (0, 1.5, 0, 2), "floor": (0,)}
    assert asked(desk, "/sample/pin/LeftHand") == [0.1, 1.0, 0.2]
    assert any(node.address == "/sample/pin/LeftHand" and node.value == (0.1, 1.0, 0.2) for node in desk.nodes())
    for address, arguments in (("/sample/free", ("LeftHand",)), ("/sample/free/Head", ()), ("/sample/clear", (0,))):
        asked(desk, address, *arguments)
    assert all(pipeline.apply(change) for change in changes.take())
    assert sample.wishes.told == {"floor": (0,)}
    asked(desk, "/sample/clear")
    assert all(pipeline.apply(change) for change in changes.take())
    assert not sample.wishes


def test_wishes_that_cannot_be_are_refused_over_osc() -> None:
    sample = Sample(PoseExpert(None, 0))
    pipeline = Pipeline([DancerLine("dancer1", [], FPS)], [PartnerLine("partner1", "dancer1", [sample])])
    desk, _ = desk_of(pipeline)
    for name in ("circle", "keep_away", "floor"):
        sample.wishes.obey(f"sample/{name}", (0, 0, 2)[: 1 if name == "floor" else 3])
    for wish in ("LeftHand", "RightHand", "LeftFoot", "RightFoot"):
        sample.wishes.obey(f"sample/limit/{wish}", (0, 1, 0, 2))
    for address, arguments, said in (
        ("/sample/limit/Head", (0, 1, 0, 2), "taken by: circle"),
        ("/partner2/sample/pin/Head", (0, 1, 0), "partner1"),
        ("/sample", (), "no wish"),
        ("/sample/pin/Head", ("up",), "numbers"),
    ):
        with pytest.raises(ValueError, match=said):
            asked(desk, address, *arguments)
    with pytest.raises(ValueError, match="no partner here has a sampler"):
        asked(desk_of(Pipeline([], []))[0], "/sample/floor", 0)


def preset(**sample: Any) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((PRESETS / "demo.yaml").read_text())
    data["partners"]["partner1"] |= {"model": "models/salsa_duet.onnx", "sample": sample}
    return data


def test_a_preset_says_what_is_wished_from_the_start() -> None:
    path = PRESETS / "demo.yaml"
    show = parse(preset(pins={"RightHand": "LeftHand"}, wishes={"circle": [0, 0, 2], "floor": 0}), path)
    sample = build_pipeline(show, path).partners["partner1"].sample
    assert sample is not None
    assert sample.wishes.follow == {"RightHand": "LeftHand"}
    assert sample.wishes.told == {"circle": (0, 0, 2), "floor": (0,)}


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({"pins": {"Hand": "LeftHand"}}, "sample.pins"),
        ({"pins": {"LeftHand": "Hand"}}, "is not one of"),
        ({"wishes": {"circle": [0, 0]}}, "it takes 3: x z radius"),
        ({"every": 0}, "sample.every"),
        ({"model": "models/none.onnx"}, "no file"),
        ({"modle": "x"}, "unknown key"),
    ],
)
def test_a_preset_s_faults_are_named(sample: dict[str, Any], said: str) -> None:
    with pytest.raises(PresetError, match=said):
        parse(preset(**sample), PRESETS / "demo.yaml")


def test_a_model_that_draws_no_poses_is_refused() -> None:
    path = PRESETS / "demo.yaml"
    with pytest.raises(PresetError, match="no sampler of poses"):
        build_pipeline(parse(preset(model="models/salsa_duet.onnx"), path), path)

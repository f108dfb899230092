"""Danced again in another's manner: as a partner and over a partner, by name, without a jump, and alone on a stop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from made_up_takes import made_up_clip
from manner_models import differing, written
from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID
from server import preset as presets
from server.cues import changes
from server.desk import Desk
from server.onnx_model import ModelError, OnnxModel
from server.params import Changes
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.show import build_pipeline
from server.stages.footing import FeetOverSteps
from server.stages.manner import LEAST, Manner, Stop, identities

PRESETS = Path(__file__).resolve().parents[1] / "presets"
DEMO = PRESETS / "demo.yaml"
FPS = 60.0
CLIP = made_up_clip(3.0, FPS)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(differing(), tmp_path_factory.mktemp("models"))


def frame(number: int, held: int | None = None) -> PoseFrame:
    place = min(number if held is None else min(number, held), len(CLIP) - 1)
    return PoseFrame(HUMANOID, CLIP.root_positions[place], CLIP.rotations[place], 0.0, number / FPS, number, "dancer1")


def knobs(stage: Manner, **more: float) -> dict[str, Any]:
    return {param.name: param.default for param in stage.params} | {
        name.replace("__", "/"): n for name, n in more.items()
    }


def danced(stage: Manner, count: int, held: int | None = None, **more: float) -> np.ndarray:
    """Joints (T, 22, 3)."""
    poses = [stage.step(frame(number, held), 1.0 / FPS, knobs(stage, **more)) for number in range(count)]
    roots, rotations = np.array([each.root_position for each in poses]), np.array([each.rotations for each in poses])
    return kinematics.global_positions(HUMANOID, roots, rotations)


def show(file: Path, partner: dict[str, Any], **more: Any) -> Pipeline:
    data = yaml.safe_load(DEMO.read_text()) | {"control": {"port": 0}, "stage_page": "off", "outputs": []} | more
    data["partners"] = {"partner1": {"dancer": "dancer1", "model": str(file)} | partner}
    return build_pipeline(presets.parse(data, DEMO), DEMO)


def desk(pipeline: Pipeline) -> Desk:
    return Desk(Changes(), lambda: pipeline)


def asked(at: Desk, address: str, *arguments: Any) -> list[Any]:
    said: list[Any] = []
    at.ask(address, arguments, lambda *values: said.extend(values), said.append)
    return said


def test_a_model_without_manners_is_refused() -> None:
    with pytest.raises(ModelError, match="knows no manners"):
        Manner(OnnxModel(PRESETS / "models/salsa_duet.onnx"), 1)


def test_it_knows_whose_manners_it_has(file: Path) -> None:
    assert identities(OnnxModel(file).manifest) == ("a", "b", "c")


def test_as_it_was_danced_is_as_it_was_danced(file: Path) -> None:
    stage = Manner(OnnxModel(file), 1, over=True)
    for number in range(20):
        made = stage.step(frame(number), 1.0 / FPS, knobs(stage, manner__mix=0.0, identity__a=1.0))
        assert np.array_equal(made.rotations, frame(number).rotations)
        assert np.array_equal(made.root_position, frame(number).root_position)


def test_a_blend_takes_the_short_way_again_after_it_was_whole_and_after_a_reset(file: Path) -> None:
    stage = Manner(OnnxModel(file), 1, over=True)

    def farthest(turn: float, mix: float = 0.5) -> float:
        """Radians that a joint is from the dancer's, whose joints have all turned so far."""
        rotations = rot.multiply(CLIP.rotations[0], rot.from_vector(np.array([turn, 0.0, 0.0])))
        seen = PoseFrame(HUMANOID, CLIP.root_positions[0], rotations, 0.0, 0.0, 0, "dancer1")
        made = stage.step(seen, 1.0 / FPS, knobs(stage, manner__mix=mix, identity__a=1.0))
        return float(rot.angle(rotations, made.rotations).max())

    for whole in (lambda: farthest(2.0 * np.pi, mix=1.0), stage.reset):
        long = [farthest(turn) for turn in np.linspace(0.0, 2.0 * np.pi, 90)][-1]
        assert long > 0.5 * np.pi + 0.1  # half of the way that goes round
        whole()
        assert farthest(2.0 * np.pi) < 0.5 * np.pi + 1e-6


def test_a_partner_by_itself_stands_beside_the_dancer(file: Path) -> None:
    over, beside = Manner(OnnxModel(file), 1, over=True), Manner(OnnxModel(file), 1)
    away = danced(beside, 40, identity__a=1.0)[10:] - danced(over, 40, identity__a=1.0)[10:]
    np.testing.assert_allclose(away, np.broadcast_to([1.5, 0.0, 0.0], away.shape), atol=1e-3)


@pytest.mark.parametrize(
    ("address", "arguments", "near"),
    [
        ("/manner/identity", ("b", 0.8, "c", 0.2), pytest.approx(0.8, abs=0.3)),
        ("/fade/manner/identity", ("b", 0.8, "c", 0.2, 4.5), pytest.approx(0.8 * 90 / (4.5 * FPS))),
    ],
)
def test_another_identity_is_no_jump(file: Path, address: str, arguments: tuple[Any, ...], near: float) -> None:
    pipeline = show(file, {"params": {"identity/a": 1.0, "distance": 0.0}})
    shown = []
    for number in range(150):
        if number == 60:
            at = desk(pipeline)
            asked(at, address, *arguments)
            assert all(pipeline.apply(change) for change in at.changes.take())
        poses = [pose for pose in pipeline.step("dancer1", frame(number)) if pose.actor == "partner1"]
        shown.append(kinematics.global_positions(HUMANOID, poses[0].root_position, poses[0].rotations))
    steps = np.linalg.norm(np.diff(np.array(shown), axis=0), axis=-1).max(axis=1)
    assert steps[58:64].max() < 1.5 * steps[20:58].max()
    assert pipeline.params.target("partner1/identity/a") == 0.0
    assert pipeline.params.values["partner1/identity/b"] == near


def test_shares_are_told_and_asked_by_name(file: Path) -> None:
    pipeline = show(file, {"params": {"identity/b": 1.0}})
    at = desk(pipeline)
    assert asked(at, "/manner/identity") == ["a", 0.0, "b", 1.0, "c", 0.0]
    asked(at, "/partner1/manner/identity", "a", 0.7, "c")
    assert {change.name: change.value for change in at.changes.take()} == {
        "partner1/identity/a": 0.7,
        "partner1/identity/b": 0.0,
        "partner1/identity/c": 1.0,
    }
    asked(at, "/manner/mix", 0.5)
    assert [change.name for change in at.changes.take()] == ["*/manner/mix"]
    asked(at, "/fade/manner/mix", 0.5, 3.0)
    asked(at, "/fade/partner1/manner/identity", "a", 2.0)  # a name alone is 1; the last number are seconds
    assert [(change.name, change.value, change.seconds) for change in at.changes.take()] == [
        ("*/manner/mix", 0.5, 3.0),
        ("partner1/identity/a", 1.0, 2.0),
        ("partner1/identity/b", 0.0, 2.0),
        ("partner1/identity/c", 0.0, 2.0),
    ]
    assert "/manner/identity" in {node.address for node in at.nodes()}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "names and shares, and then seconds"),
        (("a", 0.5, "b"), "a number, and seconds"),
        (("a", 0.7, "b", 0.3), "the seconds are missing, or a share of b: after b there is 0.3 alone"),
        (("a", 0.5, "a", 0.5, 3.0), "each once .*, not a again"),
        (("a", 0.5, -1.0), "it takes 0 to 600"),
        (("ann", 1.0, 2.0), "'ann' is none of a, b, c"),
    ],
)
def test_a_fade_to_nobody_is_refused_in_words(file: Path, arguments: tuple[Any, ...], why: str) -> None:
    at = desk(show(file, {}))
    with pytest.raises(ValueError, match=why):
        asked(at, "/fade/manner/identity", *arguments)
    assert not list(at.changes.take())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("ann", 1.0), "'ann' is none of a, b, c"),
        ((0.5,), "takes names, .* such as a 1, not 0.5"),
        (("a", 0.5, "a", 0.2), "takes names, each once .*, not a again"),
        (("a", 0.5, 0.2), "one share at most, such as a 1, not 0.2 after 0.5"),
        (("a", 1.5), "a 1.5; a share is 0 to 1"),
        (("b", 0.5, "a", -0.1), "a -0.1; a share is 0 to 1"),
        (("a", float("nan")), "a share after each name"),
        (("a", b"1"), "a share after each name"),
    ],
)
def test_what_is_no_identity_is_refused_in_words(file: Path, arguments: tuple[Any, ...], why: str) -> None:
    at = desk(show(file, {}))
    with pytest.raises(ValueError, match=why):
        asked(at, "/manner/identity", *arguments)
    assert not list(at.changes.take())


@pytest.mark.parametrize("address", ["/manner/mix", "/fade/manner/mix"])
def test_a_knob_of_everybodys_without_a_number_is_refused_in_words(file: Path, address: str) -> None:
    with pytest.raises(ValueError, match="takes one number, got none"):
        asked(desk(show(file, {})), address, *([3.0] if "fade" in address else []))


def test_where_nobody_has_a_manner_it_is_said_so() -> None:
    with pytest.raises(ValueError, match="nobody here dances in a manner"):
        asked(desk(show(PRESETS / "models/salsa_duet.onnx", {})), "/manner/identity", "a")


def test_a_preset_and_its_cues_say_shares(file: Path) -> None:
    cue = {"params": {"*/identity/c": 1.0, "*/identity/a": 0.0}, "seconds": 2}
    pipeline = show(file, {"params": {"identity/a": 1.0}}, cues=[cue])
    for change in changes(presets.parse(yaml.safe_load(DEMO.read_text()) | {"cues": [cue]}, DEMO).cues[0]):
        assert pipeline.apply(change)
    assert pipeline.params.target("partner1/identity/c") == 1.0
    with pytest.raises(presets.PresetError, match="no such param; it has: identity/a, identity/b, identity/c"):
        show(file, {"params": {"identity/ann": 1.0}})


def test_over_another_model_it_dances_what_that_made(file: Path) -> None:
    duet = str(PRESETS / "models/salsa_duet.onnx")
    pipeline = show(file, {"model": duet, "manner": str(file), "params": {"identity/a": 1.0}})
    plain = show(file, {"model": duet, "manner": str(file), "params": {"identity/a": 1.0, "manner/mix": 0.0}})
    before = show(file, {"model": duet})
    for number in range(60):
        made, as_was, was = (
            next(pose for pose in each.step("dancer1", frame(number)) if pose.actor == "partner1")
            for each in (pipeline, plain, before)
        )
    assert np.array_equal(as_was.rotations, was.rotations)
    assert not np.allclose(made.rotations, was.rotations, atol=1e-2)
    assert np.linalg.norm((made.root_position - was.root_position)[[0, 2]]) < 0.8


@pytest.mark.parametrize(
    ("partner", "why"),
    [
        ({"manner": str(PRESETS / "models/salsa_duet.onnx")}, "partner1.manner: .* knows no manners"),
        ({"manner": "nowhere.onnx"}, "partners.partner1.manner: .*nowhere.onnx"),
    ],
)
def test_a_manner_that_is_none_is_refused_before_the_show(file: Path, partner: dict[str, Any], why: str) -> None:
    with pytest.raises(presets.PresetError, match=why):
        show(file, {"model": str(PRESETS / "models/salsa_duet.onnx")} | partner)


def test_one_manner_at_a_time(file: Path) -> None:
    with pytest.raises(presets.PresetError, match="one manner at a time"):
        show(file, {"manner": str(file)})


def test_somebody_who_moves_has_not_stopped() -> None:
    stop = Stop()
    assert max(stop.step(frame(number), 1.0 / FPS) for number in range(150)) < LEAST


@pytest.mark.parametrize("fps", [25.0, 60.0, 120.0])
def test_who_trembles_has_stopped_and_who_moves_again_comes_back(fps: float) -> None:
    random, stop = np.random.default_rng(0), Stop()
    pose = frame(30)
    said = []
    for _ in range(int(4 * fps)):
        root = pose.root_position + random.normal(0.0, 0.001, 3)
        said.append(stop.step(PoseFrame(HUMANOID, root, pose.rotations, 0.0, 0.0, 0), 1.0 / fps))
    assert said[int(0.1 * fps)] == LEAST  # stands, and has not stopped yet
    assert said[-1] > 0.95
    for number in range(30, 130):
        back = stop.step(frame(number), 1.0 / FPS)
    assert back < 0.03


def test_a_silent_dancer_is_danced_on_and_comes_back_eased(file: Path) -> None:
    stage = Manner(OnnxModel(file), 1, over=True)
    alone = danced(stage, 400, held=100, identity__a=1.0, manner__improvise=1.0, manner__chance=1.5)
    assert np.isfinite(alone).all()
    assert np.linalg.norm(np.diff(alone[250:], axis=0), axis=-1).max() > 1e-4  # goes on
    rests = danced(Manner(OnnxModel(file), 1, over=True), 400, held=100, identity__a=1.0)
    assert np.linalg.norm(np.diff(rests[250:], axis=0), axis=-1).max() < 1e-5


def test_the_same_seed_improvises_the_same(file: Path) -> None:
    one, other = (danced(Manner(OnnxModel(file), 7, over=True), 200, held=50, manner__improvise=1.0) for _ in range(2))
    assert np.array_equal(one, other)


def test_a_foot_that_stands_stays_where_it_came_down() -> None:
    feet, toe = FeetOverSteps(), HUMANOID.index("LeftToes")
    rest = np.tile([0.0, 0.0, 0.0, 1.0], (22, 1))
    places = []
    for number in range(60):
        theirs = np.array([0.0, 0.95, 0.0])
        own = np.array([0.0, 0.9, 0.0012 * number])  # carried on over feet that stand
        held = feet.step((theirs, rest), (own, rest), 1.0 / FPS, alone=False)
        places.append(kinematics.global_positions(HUMANOID, own, held)[toe])
    assert np.linalg.norm(np.diff(places[15:], axis=0), axis=-1).max() < 4e-4  # a leg does not stretch
    assert np.linalg.norm(places[-1] - places[15]) < 0.3 * 0.0012 * 45

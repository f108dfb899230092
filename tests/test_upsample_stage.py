"""Slow suits on stage: keys in, a pose for every beat out; and the dancer some milliseconds ahead."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import kinematics
from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clean import resample
from motion.clip import Clip
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server import preset as presets
from server.clock import FakeClock
from server.lines import DancerLine
from server.onnx_model import ModelError, OnnxModel
from server.pipeline import Pipeline
from server.preset import PresetError
from server.protocols.frames import PoseFrame
from server.render import render
from server.show import build_pipeline
from server.stages.footing import FeetBetweenKeys
from server.stages.forecast import Forecast
from server.stages.keys import BEYOND_SECONDS, Keys
from server.stages.retarget import Retarget
from server.stages.upsample import Upsample
from server.tick import Tick
from untrained_upsamplers import of_poses, relabelled

ROOT = Path(__file__).resolve().parents[1]
QUICK = settings(deadline=None, database=None, max_examples=30)
TOES = HUMANOID.both_sides("Toes")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """An upsampler that is not trained, which is the plain way on exact bones."""
    return of_poses(tmp_path_factory.mktemp("upsampler") / "upsampler.onnx")


@pytest.fixture(scope="module")
def model(file) -> OnnxModel:
    return OnnxModel(file)


@pytest.fixture(scope="module")
def dance():
    """Five seconds at 120 frames a second."""
    return resample(load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip, 120.0)[600:1200]


def frame(clip, number: int, time: float, late: float = 0.0) -> PoseFrame:
    return PoseFrame(HUMANOID, clip.root_positions[number], clip.rotations[number], time, 50.0 + time + late, number)


def joints(pose: PoseFrame) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, pose.root_position, pose.rotations)


def beat(at: float) -> PoseFrame:
    """What the tick asks with; only its time counts."""
    return PoseFrame(HUMANOID, np.zeros(3), np.tile(rot.IDENTITY, (22, 1)), at, 50.0 + at, 0)


def danced(stage: Upsample, clip, every: int, lost=lambda n: False) -> list[tuple[float, PoseFrame]]:
    """(moment, pose) of every beat after the first second, with a key every so many frames."""
    poses = []
    for number in range(len(clip)):
        if number % every == 0 and not lost(number // every):
            stage.key(frame(clip, number, number / 120))
        pose = stage.at(beat(number / 120))
        if number >= 120:
            poses.append((number / 120 - stage.latency, pose))
    return poses


def error_mm(clip, poses) -> float:
    """Mean distance of joints from the true movement at each pose's moment."""
    truth = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)
    off = []
    for moment, pose in poses:
        place = min(max(moment * 120, 0.0), len(clip) - 1.001)
        before, share = int(place), place % 1.0
        off.append(
            np.linalg.norm(joints(pose) - (1 - share) * truth[before] - share * truth[before + 1], axis=-1).mean()
        )
    return 1e3 * float(np.mean(off))


@pytest.mark.parametrize(("delay", "behind"), [(0, 0.0), (1, 1 / 30), (2, 2 / 30)])
def test_thirty_frames_a_second_become_a_pose_for_every_beat(model, dance, delay, behind):
    stage = Upsample(model, delay, 120.0)
    poses = danced(stage, dance, 4)
    held = [(moment, frame(dance, round((moment + behind) * 120) // 4 * 4, 0.0)) for moment, _ in poses]
    assert stage.latency == pytest.approx(behind, abs=0.002)
    assert error_mm(dance, poses) < 0.6 * error_mm(dance, held)
    steps = np.array([joints(pose) for _, pose in poses])
    assert np.linalg.norm(np.diff(steps, axis=0), axis=-1).max() < 0.10
    assert stage.counts["modelled"] + stage.counts["plain"] > 550


def test_bones_keep_their_lengths(model, dance):
    lengths = np.linalg.norm(HUMANOID.offsets[1:], axis=-1)
    for _, pose in danced(Upsample(model, 0, 120.0), dance[:240], 8):
        places = joints(pose)
        bones = places[1:] - places[list(HUMANOID.parents[1:])]
        np.testing.assert_allclose(np.linalg.norm(bones, axis=-1), lengths, atol=1e-6)


@pytest.mark.parametrize("delay", [0, 1])
def test_lost_keys_are_bridged(model, dance, delay):
    whole = error_mm(dance, danced(Upsample(model, delay, 120.0), dance, 4))
    torn = error_mm(dance, danced(Upsample(model, delay, 120.0), dance, 4, lost=lambda key: key % 5 == 3))
    assert torn < 4.0 * whole + 5.0


@QUICK
@given(st.lists(st.floats(0.0, 0.4), min_size=1, max_size=30), st.integers(0, 2), st.randoms(use_true_random=False))
def test_keys_at_any_times_give_poses_that_are_finite_and_go_on(model, dance, gaps, delay, random):
    stage, now = Upsample(model, delay, 60.0), 0.0
    for number, gap in enumerate(gaps):
        now += gap
        key = frame(dance, 7 * number, now if random.random() < 0.9 else now - 0.05, late=0.02 * random.random())
        stage.key(key if random.random() < 0.8 else replace(key, sender_time=None))
        for step in range(3):
            pose = stage.at(beat(now + step / 60))
            assert np.isfinite(joints(pose)).all()


def test_a_dancer_who_stops_sending_comes_to_rest(model, dance):
    stage = Upsample(model, 0, 120.0)
    danced(stage, dance[:240], 4)
    poses = [joints(stage.at(beat(2.0 + n / 120))) for n in range(60)]
    moves = np.linalg.norm(np.diff(poses, axis=0), axis=-1).max(axis=-1)
    assert moves[int(120 * (BEYOND_SECONDS + 0.05)) + 2 :].max() < 1e-3


def largest_step(places: list[np.ndarray]) -> float:
    return float(np.linalg.norm(np.diff(places, axis=0), axis=-1).max())


@pytest.mark.parametrize("delay", [0, 1, 2])
@pytest.mark.parametrize("silence", [10, 40, 180])
def test_who_was_silent_goes_over_into_what_they_do_now(model, dance, delay, silence):
    """What was missed is up to a metre; nobody is drawn there in a beat."""
    stage, places = Upsample(model, delay, 120.0), []
    for number in range(480):
        if number % 4 == 0 and not 200 <= number < 200 + silence:
            stage.key(frame(dance, number, number / 120))
        places.append(joints(stage.at(beat(number / 120))))
    truth = kinematics.global_positions(HUMANOID, dance.root_positions[:480], dance.rotations[:480])
    assert largest_step(places[60:]) < largest_step(truth) + 0.05
    np.testing.assert_allclose(places[470], truth[470 - 4 * delay], atol=0.02 if delay else 0.1)


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_model_and_plain_way_take_turns_unseen(model, dance, delay):
    stage, places, off = Upsample(model, delay, 120.0), [], np.array([0.05, 0.0, 0.0])
    answers = stage._known

    def another(moment):
        known = answers(moment)
        if int(moment * 3) % 2:
            return known
        return keep.setdefault(id(known), lambda moments: (known(moments)[0] + off, known(moments)[1]))

    keep = {}
    stage._known = another
    for number in range(480):
        if number % 4 == 0:
            stage.key(frame(dance, number, number / 120))
        places.append(joints(stage.at(beat(number / 120))))
    plain = [joints(pose) for _, pose in danced(Upsample(model, delay, 120.0), dance[:480], 4)]
    assert largest_step(places[120:]) < largest_step(plain) + 0.03  # of the 0.05 between them


def test_an_answer_that_is_late_is_not_waited_for(model, dance):
    asked = []

    def never():
        return lambda work: asked.append(work) or Future()

    stage = Upsample(model, 1, 120.0, never)
    poses = danced(stage, dance[:300], 4)
    assert len(asked) == 1  # work does not pile up
    assert stage.counts["modelled"] == 0
    assert error_mm(dance, poses) < 10.0


@pytest.mark.parametrize(("where", "every", "plain"), [("live", 4, True), ("live", 8, False), ("offline", 4, False)])
def test_where_the_models_table_says_so_the_plain_way_is_danced(file, dance, tmp_path, where, every, plain):
    row = {"where": where, "ahead": 1, "from_fps": 20.0, "to_fps": 1000.0}
    humble = relabelled(file, tmp_path / "humble.onnx", scorecard={"spline_is_better": [row]})
    stage = Upsample(OnnxModel(humble), 1, 120.0)
    danced(stage, dance[:240], every)
    assert (stage.counts["plain"] > 200, stage.counts["modelled"] > 200) == (plain, not plain)


def test_a_model_that_raises_costs_its_answer_only(file, dance, monkeypatch):
    def broken():
        raise RuntimeError("no session")

    stage = Upsample(OnnxModel(file), 1, 120.0)
    monkeypatch.setattr(stage._model, "step", broken)
    assert error_mm(dance, danced(stage, dance[:300], 4)) < 10.0
    assert stage.counts["model_faults"] > 60


def test_planted_feet_stay_whatever_is_made_between_keys(dance):
    standing = dance.rotations[0]
    keys, footing = Keys(), FeetBetweenKeys()
    root = dance.root_positions[0]
    for n in range(2):
        keys.add(PoseFrame(HUMANOID, root, standing, n / 30, 50.0 + n / 30, n))
    there = joints(PoseFrame(HUMANOID, root, standing, 0.0, 0.0, 0))[TOES]
    slid = root + np.array([0.015, 0.0, 0.01])
    for _ in range(30):
        made = footing.plant(slid, standing, keys, keys.newest - 0.015, 1 / 120)
    toes = joints(PoseFrame(HUMANOID, slid, made, 0.0, 0.0, 0))[TOES]
    low = there[:, 1] < there[:, 1].min() + 0.05
    assert low.any()
    np.testing.assert_allclose(toes[low], there[low], atol=0.004)


def test_a_senders_clock_is_laid_on_ours_by_its_quickest_keys():
    keys = Keys()
    delays = np.random.default_rng(0).uniform(0.002, 0.02, 50)
    for n, delay in enumerate(delays):
        keys.add(replace(beat(0.0), sender_time=n / 30, receive_time=900.0 + n / 30 + delay))
    assert keys.newest == pytest.approx(900.0 + 49 / 30 + delays.min(), abs=1e-9)
    assert keys.interval == pytest.approx(1 / 30, abs=1e-9)
    assert 0.014 < keys.patience < 0.018
    keys.add(replace(beat(0.0), sender_time=0.0, receive_time=905.0))  # the app was started again
    assert (len(keys), keys.newest) == (1, 905.0)


def test_one_bad_key_under_the_floor_lets_no_foot_go(dance):
    keys, footing, root = Keys(), FeetBetweenKeys(), dance.root_positions[0]
    slid, off = root + np.array([0.015, 0.0, 0.01]), []
    there = joints(PoseFrame(HUMANOID, root, dance.rotations[0], 0.0, 0.0, 0))[TOES]
    for n in range(90):
        low = np.array([0.0, 0.5 * (n == 30), 0.0])
        keys.add(PoseFrame(HUMANOID, root - low, dance.rotations[0], n / 30, 50.0 + n / 30, n))
        made = footing.plant(slid, dance.rotations[0], keys, keys.newest - 0.015, 1 / 30)
        off.append(np.abs(joints(PoseFrame(HUMANOID, slid, made, 0.0, 0.0, 0))[TOES] - there).max(axis=-1).min())
    assert max(off[10:29]) < 0.004
    assert max(off[40:]) < 0.004


def test_a_foot_that_goes_too_far_off_is_let_go_slowly(dance):
    keys, footing, root = Keys(), FeetBetweenKeys(), dance.root_positions[0]
    for n in range(2):
        keys.add(PoseFrame(HUMANOID, root, dance.rotations[0], n / 30, 50.0 + n / 30, n))
    toes = []
    for n in range(60):
        slid = root + np.array([0.004 * n, 0.0, 0.0])
        made = footing.plant(slid, dance.rotations[0], keys, keys.newest - 0.015, 1 / 120)
        toes.append(joints(PoseFrame(HUMANOID, slid, made, 0.0, 0.0, 0))[TOES])
    assert np.linalg.norm(np.diff(toes, axis=0), axis=-1).max() < 0.02  # 0.1 in 0.08 s, and the body's own 0.004


@pytest.mark.parametrize(("seconds", "share"), [(0.033, 0.6), (0.05, 0.6), (0.1, 0.7)])
def test_a_forecast_is_nearer_than_the_last_pose_and_says_how_far_off_it_was(model, dance, seconds, share):
    stage, told = Forecast(model, seconds), []
    for number in range(len(dance)):
        told.append((number / 120 + seconds, stage.step(frame(dance, number, number / 120), 1 / 120, {})))
    told = [each for each in told[120:] if each[0] < (len(dance) - 2) / 120]
    held = [(moment, frame(dance, round((moment - seconds) * 120), 0.0)) for moment, _ in told]
    assert error_mm(dance, told) < share * error_mm(dance, held)
    assert stage.surprise is not None
    assert 1e3 * stage.surprise == pytest.approx(error_mm(dance, told[-120:]), rel=0.5)


def travelling(number: int, fps: float, speed: float = 2.0) -> PoseFrame:
    """A dancer who slides evenly, in a pose."""
    pose = beat(number / fps)
    return replace(pose, root_position=np.array([speed * number / fps, 1.0, 0.0]), number=number)


@pytest.mark.parametrize("fps", [50.0, 119.88])
@pytest.mark.parametrize("ms", [10, 33, 50, 100])
def test_a_forecaster_who_is_always_right_is_never_surprised(model, monkeypatch, fps, ms):
    stage = Forecast(model, ms / 1000)
    off = np.zeros(3)

    def right(_, shown):
        there = 2.0 * (stage._keys.newest - 50.0 + ms / 1000)
        return np.concatenate([off + np.array([there, 1.0, 0.0]), rot.to_6d(beat(0.0).rotations).ravel()])[None]

    monkeypatch.setattr("server.stages.forecast.ask", right)
    for number in range(90):
        stage.step(travelling(number, fps), 1 / fps, {})
    assert 1e3 * stage.surprise < 0.01  # float rounding of moments
    off[2] = 0.02
    for number in range(90, 690):
        stage.step(travelling(number, fps), 1 / fps, {})
    assert 1e3 * stage.surprise == pytest.approx(20.0, abs=0.2)  # an average of a second, after five


def test_no_forecast_is_judged_by_frames_that_did_not_come(model):
    stage = Forecast(model, 0.05)
    for number in range(60):
        stage.step(travelling(number, 120.0), 1 / 120, {})
    before = stage.surprise
    stage.step(replace(travelling(90, 120.0), root_position=np.array([9.0, 1.0, 0.0])), 1 / 120, {})
    assert stage.surprise == before


def test_a_forecaster_whose_model_raises_goes_on_the_plain_way(file, monkeypatch):
    stage = Forecast(OnnxModel(file), 0.05)
    monkeypatch.setattr(stage._model, "step", lambda: [].pop())
    poses = [stage.step(travelling(number, 120.0), 1 / 120, {}) for number in range(30)]
    assert stage.counts["model_faults"] == 29
    assert 2.0 * 29 / 120 < poses[-1].root_position[0] < 2.0 * 29 / 120 + 0.11


def test_another_model_is_refused_with_what_it_is():
    partner = OnnxModel(ROOT / "presets/models/salsa_duet.onnx")
    with pytest.raises(ModelError, match=r"salsa_duet\.onnx is a duet of 22 joints, no upsampler"):
        Upsample(partner, 1, 120.0)
    with pytest.raises(ModelError, match="no upsampler"):
        Forecast(partner, 0.05)


def preset(file: Path, **changes):
    dancer = {"receive": "vmc", "port": 0, "upsample": {"model": str(file)}} | changes.pop("dancer", {})
    data = {
        "format": 1,
        "clock": {"fps": 120},
        "dancers": {"dancer1": dancer},
        "partners": {"partner1": {"dancer": "dancer1", "model": "models/salsa_duet.onnx"}},
        "control": "off",
        "stage_page": "off",
    }
    return presets.parse(data | changes, ROOT / "presets/show.yaml")


OTHER = {"model": "models/salsa_duet.onnx"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"clock": {"follow": "dancer", "fps": 120}}, "dancers.dancer1.upsample: needs a clock of its own"),
        (
            {"dancer": {"forecast": OTHER}},
            "dancers.dancer1.forecast: upsample with delay",
        ),
        ({"dancer": {"upsample": {"model": "models/none.onnx"}}}, "dancers.dancer1.upsample.model: no file"),
        (
            {"dancer": {"upsample": OTHER | {"delay": 3}}},
            "dancers.dancer1.upsample.delay: 3",
        ),
        (
            {"dancer": {"upsample": None, "forecast": OTHER | {"ms": 200}}},
            "forecast.ms: 200",
        ),
        ({"dancer": {"stages": ["deglitch"]}}, "dancers.dancer1.upsample: needs the standard body: put `retarget`"),
        (
            {"dancer": {"upsample": None, "forecast": OTHER, "stages": []}},
            "dancers.dancer1.forecast: needs the standard body: put `retarget`",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_before_the_show(file, changes, says):
    with pytest.raises(PresetError) as caught:
        preset(file, **changes)
    assert says in str(caught.value)


def test_a_slow_suits_partner_dances_at_every_beat(file, dance):
    show = preset(file)
    clock = FakeClock()
    tick = Tick(build_pipeline(show, ROOT / "presets/show.yaml"), [], [], None, clock, 120.0, follow=False)
    seen = []
    for number in range(360):
        clock.advance(1 / 120)
        if number % 4 == 0:
            tick.arrive("dancer1", replace(frame(dance, number, number / 120), receive_time=clock.now()))
        tick.beat(clock.now(), number / 120)
        seen.append(tick.way_out.latest["dancer1"].root_position)
    assert tick.pipeline.partners["partner1"].state == "dancing"
    moves = np.linalg.norm(np.diff(seen[120:], axis=0), axis=-1)
    assert (moves > 0).mean() > 0.95
    assert moves.max() < 0.05


def test_without_keys_frames_are_danced_as_they_are(model, dance):
    """An offline render gives a pose for every beat itself."""
    line = DancerLine("dancer1", [Retarget()], 120.0, Upsample(model, 1, 120.0))
    pose = frame(dance, 5, 0.0)
    *_, seen = Pipeline([line], []).step("dancer1", pose)
    np.testing.assert_array_equal(seen.rotations, pose.rotations)


def test_a_beat_that_fails_holds_its_dancer_and_nobody_else(model, dance, monkeypatch):
    lines = [DancerLine(name, [Retarget()], 120.0, Upsample(model, 1, 120.0)) for name in ("one", "two")]
    pipeline = Pipeline(lines, [])
    for number in range(0, 12, 4):
        for line in lines:
            pipeline.key(line.name, frame(dance, number, number / 120))
    (good,) = pipeline.step("one", beat(0.1))

    def broken(*_):
        raise IndexError("no such joint")

    monkeypatch.setattr(lines[0].upsample._footing, "plant", broken)
    (held,) = pipeline.step("one", beat(0.2))
    (other,) = pipeline.step("two", beat(0.2))
    np.testing.assert_array_equal(held.rotations, good.rotations)
    assert (held.actor, held.receive_time, other.actor) == ("one", 50.2, "two")
    assert (lines[0].faults, lines[0].last_fault) == (1, "IndexError: no such joint")
    assert lines[1].faults == 0


def test_a_key_that_fails_costs_no_beat(model, dance, monkeypatch):
    line = DancerLine("dancer1", [Retarget()], 120.0, Upsample(model, 1, 120.0))
    line.key(frame(dance, 0, 0.0))
    monkeypatch.setattr(line.upsample, "key", lambda _: 1 / 0)
    line.key(frame(dance, 4, 1 / 30))
    assert line.last_fault == "ZeroDivisionError: division by zero"
    assert line.step(beat(0.05), {}) is not None


@pytest.mark.parametrize("delay", [1, 2])
def test_a_render_upsamples_as_the_show_does(file, dance, tmp_path, delay):
    """A slow recording's frames are keys: what is rendered moves at every beat, and is what the tick danced."""
    slow = Clip(HUMANOID, 30.0, dance.root_positions[:240:4], dance.rotations[:240:4])
    write_bvh(tmp_path / "slow.bvh", slow, decimals=9)
    show, path = preset(file, dancer={"upsample": {"model": str(file), "delay": delay}}), ROOT / "presets/show.yaml"
    seen = tmp_path / "seen.bvh"
    list(render(build_pipeline(show, path), tmp_path / "slow.bvh", 120.0, tmp_path / "partner.bvh", seen))
    made = load_humanoid(seen).clip
    clock = FakeClock()
    tick = Tick(build_pipeline(show, path), [], [], None, clock, 120.0, follow=False)
    for number in range(len(made)):
        if number % 4 == 0 and number // 4 < len(slow):
            tick.arrive("dancer1", frame(slow, number // 4, number / 120, late=clock.now() - 50.0 - number / 120))
        tick.beat(clock.now(), number / 120)
        np.testing.assert_allclose(made.root_positions[number], tick.way_out.latest["dancer1"].root_position, atol=1e-4)
        clock.advance(1 / 120)
    assert (np.linalg.norm(np.diff(made.root_positions[30:230], axis=0), axis=-1) > 0).all()

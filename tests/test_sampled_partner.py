"""A partner drawn half a second at a time: goes on, repeats, goes where they are told, and is refused with reasons."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from exporters.graphs import graph_of
from exporters.onnx import write
from motion import kinematics, motion_vectors, sampling
from motion.load import load_humanoid
from motion.motion_layout import FUTURE, Layout
from motion.reach_goals import PINS
from motion.skeleton import HUMANOID
from server.desk import Desk
from server.lines import DancerLine, PartnerLine
from server.onnx_model import ModelError, OnnxModel
from server.params import Changes
from server.pipeline import Pipeline
from server.preset import PresetError, parse
from server.protocols.frames import PoseFrame
from server.report import sampled
from server.show import build_pipeline
from server.stages.motion_plan import Asked, Planner
from server.stages.pose_expert import PoseExpert
from server.stages.sample import Sample
from server.stages.sample_wishes import Wishes
from server.stages.sampled_partner import SampledPartner
from server.stages.worker import idle
from test_motion_vectors import track
from training.models.drmm_motion import Model, MotionDrmm

PRESETS = Path(__file__).resolve().parents[1] / "presets"
FPS = 60.0
CLIP = load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip[:300]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of made-up motion."""
    torch.manual_seed(0)
    layout = Layout(dancer=True)
    config = Model(layers=2, components=8, candidates=16, past_scale=4.0, variables=layout.names)
    model = MotionDrmm(config, HUMANOID)
    rows = motion_vectors.joined(layout, [(track(seed, 80), track(seed + 100, 80)) for seed in range(8)])
    model.fit_statistics({"rows": torch.from_numpy(rows)})
    graph = graph_of("motion_drmm", model.eval())
    return write(graph, graph.label("small"), tmp_path_factory.mktemp("models") / "small.onnx")


def danced(partner: SampledPartner, frames: int = 150) -> np.ndarray:
    """Global positions of the partner (frames, 22, 3)."""
    shown = []
    for number in range(frames):
        now = number / FPS
        frame = PoseFrame(HUMANOID, CLIP.root_positions[number], CLIP.rotations[number], now, now, number, "dancer1")
        pose = partner.step(frame, 1.0 / FPS, {"variety": 0.2})
        shown.append(kinematics.global_positions(HUMANOID, pose.root_position, pose.rotations))
    return np.array(shown)


def test_a_partner_dances_on_with_bones_of_one_length(file: Path) -> None:
    places = danced(SampledPartner(Planner(OnnxModel(file), 3), Wishes(moves=True)))
    assert np.isfinite(places).all()
    assert np.linalg.norm(np.diff(places[:, 0], axis=0), axis=-1).max() < 0.2
    assert np.abs(np.diff(places[30:], axis=0)).max() > 1e-4
    lengths = [np.linalg.norm(places[:, j] - places[:, p], axis=-1) for j, p in enumerate(HUMANOID.parents) if p >= 0]
    assert max(np.ptp(length) for length in lengths) < 1e-9


def test_the_same_seed_is_the_same_dance(file: Path) -> None:
    one, same, other = (danced(SampledPartner(Planner(OnnxModel(file), s), Wishes(moves=True)), 60) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_who_is_told_where_to_go_comes_nearer(file: Path) -> None:
    free = danced(SampledPartner(Planner(OnnxModel(file), 1), Wishes(moves=True)))
    goal = free[0, 0, [0, 2]] + [1.5, 0.0]
    told = danced(SampledPartner(Planner(OnnxModel(file), 1), Wishes({"goto": tuple(goal)}, moves=True)))
    off = [np.linalg.norm(places[:, 0][:, [0, 2]] - goal, axis=-1) for places in (free, told)]
    assert off[1][-1] < off[0][-1] - 0.03  # a model that knows little of going anywhere


def test_who_is_to_stay_in_a_circle_does(file: Path) -> None:
    free = danced(SampledPartner(Planner(OnnxModel(file), 1), Wishes(moves=True)))
    x, z = free[0, 0, [0, 2]]
    told = danced(SampledPartner(Planner(OnnxModel(file), 1), Wishes({"circle": (x, z, 0.2)}, moves=True)))
    far, near = (np.linalg.norm(places[:, 0][:, [0, 2]] - [x, z], axis=-1).max() for places in (free, told))
    assert near < 0.7 * far


def test_as_many_wishes_as_there_is_room_for_can_be_planned_for(file: Path) -> None:
    told = {f"limit/{point}": (0.0, 1.0, 0.0, 5.0, 2.0) for point in PINS}
    told |= {"circle": (0.0, 0.0, 9.0), "keep_away": (20.0, 0.0, 1.0), "apart": (0.1,)}
    wishes = Wishes(moves=True)
    for wish, numbers in {**told, "goto": (1.0, 0.0), "facing": (90.0,)}.items():
        assert wishes.obey(f"sample/{wish}", numbers), wish
    assert np.isfinite(danced(SampledPartner(Planner(OnnxModel(file), 1), wishes), 30)).all()


def test_who_is_far_outside_of_a_circle_comes_in_at_a_pace_that_somebody_can_go(file: Path) -> None:
    start = danced(SampledPartner(Planner(OnnxModel(file), 1), Wishes(moves=True)), 1)[0, 0, [0, 2]]
    wishes = Wishes({"circle": (start[0] + 4.0, start[1], 0.5)}, moves=True)
    hips = danced(SampledPartner(Planner(OnnxModel(file), 1), wishes), 240)[:, 0, [0, 2]]
    assert np.linalg.norm(hips[-1] - start - [4.0, 0.0]) < 1.0


def test_of_what_is_drawn_something_is_taken_that_a_body_can_go(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planner, layout = Planner(OnnxModel(file), 1), Layout()
    body = motion_vectors.Track(CLIP.root_positions[:20:2], CLIP.rotations[:20:2])
    drawn, every, now = planner._run, 3, motion_vectors.now_known(layout, body, body)[0]

    def leaping(values: sampling.Values) -> sampling.Values:
        """Every third candidate leaps, while its feet, as far as the vector knows, stand still."""
        made = drawn(values)
        made["log_weights"][:] = 0.0
        for step in range(len(FUTURE)):
            leap = now[layout.select("partner.history.2.root")] + [1.0 + step, 0.0, 0.0]
            made["samples"][:, ::every, layout.select(f"partner.future.{step}.root")] = leap
            for foot in ("LeftFoot", "RightFoot"):
                stays = now[layout.select(f"partner.history.2.{foot}")] - [1.0 + step, 0.0, 0.0]
                made["samples"][:, ::every, layout.select(f"partner.future.{step}.{foot}")] = stays
        return made

    monkeypatch.setattr(planner, "_run", leaping)
    assert np.isfinite(planner(Asked(0, body, body, 0.0)).roots).all()
    every = 1
    with pytest.raises(ArithmeticError, match="a plan that goes"):
        planner(Asked(0, body, body, 0.0))


def test_circles_that_contradict_each_other_are_told_in_the_stats(file: Path) -> None:
    start = danced(SampledPartner(Planner(OnnxModel(file), 1), Wishes(moves=True)), 1)[0, 0, [0, 2]]
    wishes = Wishes({"circle": (*start, 0.2), "keep_away": (*start, 1.0)}, moves=True)
    stages = [SampledPartner(Planner(OnnxModel(file), 1), wishes), Sample(PoseExpert(None, 1), 4, wishes)]
    line = PartnerLine("partner1", "dancer1", stages)
    assert np.isfinite(danced(stages[0], 30)).all()
    told = sampled(line)
    assert told is not None
    assert any(pair.startswith("keep_away in ") and " against circle in " in pair for pair in told["infeasible"])


def test_a_worker_that_never_answers_leaves_the_partner_standing(file: Path) -> None:
    partner = SampledPartner(Planner(OnnxModel(file), 1), Wishes(moves=True), idle)
    places = danced(partner, 60)
    assert np.ptp(places, axis=0).max() < 1e-6
    assert partner.counts["late_plans"] == 1
    assert partner.counts["left_out_plans"] > 3


def test_a_model_of_poses_is_refused() -> None:
    with pytest.raises(ModelError, match="no sampler of motion"):
        SampledPartner(Planner(OnnxModel(PRESETS / "models/salsa_duet.onnx"), 1), Wishes())


def test_a_preset_s_partner_may_be_a_sampler_and_only_such_a_one_is_told_where_to_go(file: Path) -> None:
    path = PRESETS / "demo.yaml"
    data = yaml.safe_load(path.read_text())
    data["partners"]["partner1"] |= {"model": str(file), "sample": {"wishes": {"goto": [1, 2], "facing": 90}}}
    line = build_pipeline(parse(data, path), path).partners["partner1"]
    assert line.sample is not None
    assert line.sample.wishes.goto == (1.0, 2.0)
    data["partners"]["partner1"]["model"] = "models/salsa_duet.onnx"
    with pytest.raises(PresetError, match="goto: only a partner whose model draws motion"):
        build_pipeline(parse(data, path), path)


def test_over_osc_too(file: Path) -> None:
    wishes = Wishes(moves=True)
    stages = [SampledPartner(Planner(OnnxModel(file), 1), wishes), Sample(PoseExpert(None, 1), 4, wishes)]
    pipeline = Pipeline([DancerLine("dancer1", [], FPS)], [PartnerLine("partner1", "dancer1", stages)])
    changes = Changes()
    desk = Desk(changes, lambda: pipeline)
    desk.ask("/sample/goto", (1.0, 2.0), lambda *_: None, lambda *_: None)
    assert all(pipeline.apply(change) for change in changes.take())
    assert wishes.goto == (1.0, 2.0)
    wishes.moves = False
    with pytest.raises(ValueError, match="only a partner whose model draws motion"):
        desk.ask("/sample/facing", (90.0,), lambda *_: None, lambda *_: None)

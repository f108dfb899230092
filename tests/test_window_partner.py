"""Partners of models that work on windows: on time, smooth, the same live and offline, and never in the tick's way."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.clock import FakeClock
from server.lines import DancerLine, PartnerLine
from server.onnx_model import ModelError, OnnxModel
from server.params import ControlChange
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.stages.window_partner import WindowPartner
from server.stages.worker import Run, Worker, idle, inline
from server.tick import Tick
from server.worker import threaded
from tests.window_models import FPS, HOP, LATENCY, window_model


def dancer_at(time: float) -> tuple[np.ndarray, np.ndarray]:
    """Somebody who walks in a circle and waves."""
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    rotations[0] = rot.yaw(0.8 * time)
    rotations[7] = rot.from_euler("XYZ", np.array([np.sin(3.0 * time), 0.3, 0.5 * np.cos(2.0 * time)]))
    return np.array([np.sin(time), 0.88, np.cos(time)]), rotations


def frames(seconds: float, fps: float) -> list[PoseFrame]:
    times = [n / fps for n in range(round(seconds * fps))]
    return [PoseFrame(HUMANOID, *dancer_at(t), t, t, n, "dancer1") for n, t in enumerate(times)]


def show(path: Path, worker: Worker = inline, seed: int = 1) -> Pipeline:
    stage = WindowPartner(OnnxModel(path), seed, worker)
    return Pipeline([DancerLine("dancer1", [], 60.0)], [PartnerLine("partner1", "dancer1", [stage])])


def dance(pipeline: Pipeline, dancer: list[PoseFrame], each: Callable[[], object] = lambda: None) -> list[PoseFrame]:
    poses = []
    for frame in dancer:
        poses += [pose for pose in pipeline.step("dancer1", frame) if pose.actor == "partner1"]
        each()
    return poses


def same(a: list[PoseFrame], b: list[PoseFrame]) -> bool:
    return all(
        np.array_equal(x.root_position, y.root_position) and np.array_equal(x.rotations, y.rotations)
        for x, y in zip(a, b, strict=True)
    )


class Punctual:
    """A worker's thread that has always answered before the next frame, whatever else the machine does."""

    def __init__(self) -> None:
        self._run = threaded()
        self._asked: list[Future[Any]] = []

    def worker(self) -> Run:
        def run(work: Callable[[], Any]) -> Future[Any]:
            self._asked.append(self._run(work))
            return self._asked[-1]

        return run

    def finish(self) -> None:
        wait(self._asked)


class Slow:
    """A worker who answers when told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[[], Any], Future[Any]]] = []

    def worker(self) -> Run:
        def run(work: Callable[[], Any]) -> Future[Any]:
            self.asked.append((work, Future()))
            return self.asked[-1][1]

        return run

    def answer(self) -> None:
        work, future = self.asked.pop(0)
        future.set_result(work())


@pytest.mark.parametrize("fps", [30.0, 50.0, 60.0, 120.0])
def test_an_echo_is_the_dancer_of_the_stated_latency_ago_at_any_rate(tmp_path: Path, fps: float) -> None:
    pipeline = show(window_model(tmp_path / "echo.onnx"))
    poses = dance(pipeline, frames(3.0, fps))
    assert pipeline.partners["partner1"].latency == pytest.approx(LATENCY / FPS)
    for number in range(round(0.5 * fps), len(poses)):
        root, rotations = dancer_at(number / fps - LATENCY / FPS)
        # interpolation twice between frames 1/30 s apart: measured 1.5e-3 m, 3e-3 rad
        assert np.linalg.norm(poses[number].root_position - root) < 2e-3
        assert rot.angle(poses[number].rotations, rotations).max() < 0.01


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0.002, 0.25), min_size=5, max_size=60))
def test_an_echo_keeps_its_distance_however_irregular_the_frames(tmp_path: Path, gaps: list[float]) -> None:
    """The dancer walks a metre a second, so where the partner is tells what moment is shown."""
    pipeline = show(window_model(tmp_path / "echo.onnx"))
    times, rest = np.cumsum([0.0, *gaps]), dancer_at(0.0)[1]
    dancer = [PoseFrame(HUMANOID, np.array([t, 0.88, 0.0]), rest, t, t, n) for n, t in enumerate(times)]
    places = [pose.root_position[0] for pose in dance(pipeline, dancer)]
    # where the walk begins the curve through the frames swings by 0.074 of a frame's step
    np.testing.assert_allclose(places, np.maximum(times - LATENCY / FPS, 0.0), atol=0.08 / FPS)


def test_the_first_frame_has_a_partner_beside_the_dancer(tmp_path: Path) -> None:
    first, *_ = dance(show(window_model(tmp_path / "echo.onnx")), frames(0.02, 60.0))
    np.testing.assert_allclose(first.root_position, dancer_at(0.0)[0], atol=1e-6)


def test_an_offline_render_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    path = window_model(tmp_path / "noise.onnx", "noise")
    takes = [dance(show(path, seed=seed), frames(1.0, 60.0)) for seed in (1, 1, 2)]
    assert same(takes[0], takes[1])
    assert not same(takes[0], takes[2])


def test_a_worker_in_time_gives_the_poses_of_the_offline_render_bit_for_bit(tmp_path: Path) -> None:
    path, punctual = window_model(tmp_path / "noise.onnx", "noise"), Punctual()
    live = dance(show(path, punctual.worker), frames(2.0, 60.0), punctual.finish)
    assert same(live, dance(show(path), frames(2.0, 60.0)))


class Stage:
    """What the audience gets of one actor."""

    actor, label = "partner1", "a stage"

    def __init__(self) -> None:
        self.seen: list[PoseFrame] = []

    def send(self, frame: PoseFrame) -> None:
        self.seen.append(frame)

    def rehearse(self, frame: PoseFrame) -> None:
        pass


def test_the_live_tick_gives_the_poses_of_the_offline_render_bit_for_bit(tmp_path: Path) -> None:
    """Frames as a receiver brings them, a twin that rehearses, a worker in its thread."""
    path, punctual, stage, clock = window_model(tmp_path / "noise.onnx", "noise"), Punctual(), Stage(), FakeClock()
    tick = Tick(show(path, punctual.worker), [stage], [], None, clock, 60.0, follow=True, twin=show(path, idle))
    for frame in frames(2.0, 60.0):
        tick.arrive("dancer1", frame)
        punctual.finish()
        clock.advance(1 / 60)
        tick.rehearse("dancer1", frame)
    assert same(stage.seen, dance(show(path), frames(2.0, 60.0)))


def test_how_early_an_answer_is_ready_changes_nothing(tmp_path: Path) -> None:
    """Ready at once, or just before its turn."""
    path, slow = window_model(tmp_path / "noise.onnx", "noise"), Slow()
    pipeline, poses = show(path, slow.worker), []
    for number, frame in enumerate(frames(2.0, FPS)):
        if number % HOP == 1:  # asked at multiples of the hop, due a frame later
            slow.answer()
        poses += [pose for pose in pipeline.step("dancer1", frame) if pose.actor == "partner1"]
    assert same(poses, dance(show(path), frames(2.0, FPS)))


def test_the_tick_does_not_wait_for_a_late_answer_and_counts_it(tmp_path: Path) -> None:
    slow = Slow()
    pipeline = show(window_model(tmp_path / "echo.onnx"), slow.worker)
    poses = dance(pipeline, frames(1.0, FPS))  # nobody answers
    assert len(poses) == 50
    assert len(slow.asked) == 1
    assert pipeline.partners["partner1"].counts == {"late_windows": 1, "left_out_windows": 49 // HOP}


def test_a_late_worker_that_catches_up_is_followed_without_a_jump(tmp_path: Path) -> None:
    slow, places = Slow(), []
    pipeline = show(window_model(tmp_path / "echo.onnx"), slow.worker)
    for number, frame in enumerate(frames(4.0, FPS)):
        if slow.asked and not (50 < number < 80):
            slow.answer()
        places += [p.root_position for p in pipeline.step("dancer1", frame) if p.actor == "partner1"]
    np.testing.assert_allclose(places[-1], dancer_at(199 / FPS - LATENCY / FPS)[0], atol=1e-3)
    # behind by 0.6 s of walking at 1 m/s, and at most 0.4 of the way back in one of the 4 frames of a fade
    assert np.linalg.norm(np.diff(places, axis=0), axis=-1).max() < 0.4 * 0.6 + 0.05


def test_windows_that_disagree_dissolve_into_each_other(tmp_path: Path) -> None:
    pipeline = show(window_model(tmp_path / "shift.onnx", "shift"))
    heights = []
    for number, frame in enumerate(frames(2.0, 250.0)):
        if number == 250:
            pipeline.apply(ControlChange("partner1/shift", 1.0))
        heights += [p.root_position[1] for p in pipeline.step("dancer1", frame) if p.actor == "partner1"]
    assert (heights[250], heights[-1]) == pytest.approx((0.88, 1.88))
    # a metre over 4 frames of 1/50 s, at most 0.4 of it in one: 0.08 a frame at 250 fps
    assert np.abs(np.diff(heights)).max() < 0.08


def test_a_vector_param_reaches_the_model_by_ai_toolboxs_address(tmp_path: Path) -> None:
    pipeline = show(window_model(tmp_path / "latent.onnx", "latent"))
    assert pipeline.apply(ControlChange("*/latent_offset", (0.3, 0.6, 0.0)))
    assert not pipeline.apply(ControlChange("*/latent_offset", (0.3, 0.6)))
    assert dance(pipeline, frames(1.0, FPS))[-1].root_position[1] == pytest.approx(1.18)


def test_a_reset_keeps_what_is_shown_and_repeats_the_noise(tmp_path: Path) -> None:
    path = window_model(tmp_path / "noise.onnx", "noise")
    pipeline, held = show(path), frames(1.0, FPS)
    before = dance(pipeline, held)
    pipeline.apply(ControlChange("show/reset", 1.0))
    after = dance(pipeline, held)
    np.testing.assert_array_equal(after[0].root_position, before[-1].root_position)
    assert same(after[20:], before[20:])  # once the first answers have dissolved


def test_a_model_that_breaks_costs_no_tick_and_comes_back(tmp_path: Path) -> None:
    pipeline = show(window_model(tmp_path / "broken.onnx", "broken"))
    dance(pipeline, frames(1.0, FPS))
    pipeline.apply(ControlChange("partner1/shift", 2.0))
    poses = dance(pipeline, frames(1.0, FPS))
    line = pipeline.partners["partner1"]
    assert len(poses) == 50
    assert line.faults > 0
    assert np.isfinite([pose.root_position for pose in poses]).all()
    pipeline.apply(ControlChange("partner1/shift", 0.0))
    dance(pipeline, frames(1.0, FPS))
    assert (line.state, line.last_fault) == ("dancing", "")


def test_a_rehearsal_asks_nobody_and_still_steps(tmp_path: Path) -> None:
    poses = dance(show(window_model(tmp_path / "echo.onnx"), idle), frames(1.0, 60.0))
    assert len(poses) == 60


@pytest.mark.parametrize("latency", [0, HOP + 1, 17])
def test_a_latency_that_cannot_be_kept_is_refused(tmp_path: Path, latency: int) -> None:
    path = window_model(tmp_path / "odd.onnx", latency=latency)
    with pytest.raises(ModelError, match=f"latency of {latency} frames.* must be 6 to 16"):
        show(path)

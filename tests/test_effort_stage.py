"""Live: a meter reads whoever dances at any rate, a dial follows it and never jumps, and readings go out by OSC."""

import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporters import onnx as exporters_onnx
from exporters.graphs.effort_meter import EffortMeter as Graph
from labelled_models import fitted, small_model
from motion import kinematics
from motion import rotations as rot
from motion.manifest import Param
from motion.skeleton import HUMANOID
from server.clock import FakeClock
from server.lines import DancerLine, PartnerLine
from server.onnx_model import ModelError, OnnxModel
from server.outputs import ReadingOutput
from server.params import Params
from server.pipeline import Pipeline
from server.preset_outputs import EffortOutput
from server.protocols import osc_messages
from server.protocols.effort import Reading, messages
from server.protocols.frames import PoseFrame
from server.stages.effort import EffortMeter
from server.stages.follow import Follow
from server.tick import Tick

NAMES = ("low", "medium", "high")
DIAL = Param("label/time", 0.5, 0.0, 1.0, 0.25, names=NAMES)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    step = Graph(fitted()).eval()
    return exporters_onnx.write(step, step.label("meter"), tmp_path_factory.mktemp("models") / "meter.onnx")


def danced(time: float) -> tuple[np.ndarray, np.ndarray]:
    """A root and rotations of somebody who swings their limbs as smoothly as anybody."""
    rotations = rot.from_euler("ZXY", 0.4 * np.sin(4.0 * time + np.arange(66).reshape(22, 3)))
    rotations[0] = rot.yaw(0.5 * time)
    return np.array([np.sin(time), 0.9, 0.0]), rotations


def frame(time: float, number: int = 0, still: bool = False) -> PoseFrame:
    root, rotations = danced(0.0 if still else time)
    return PoseFrame(HUMANOID, root, rotations, time, time, number, "dancer1")


def seen(meter: EffortMeter, fps: float, seconds: float, begin: float = 0.0, still: bool = False) -> list[float]:
    """When there were readings."""
    times = []
    for number in range(round(seconds * fps)):
        meter.see(frame(begin + number / fps, number, still), 1.0 / fps)
        if meter.read():
            times.append(number / fps)
    return times


@pytest.mark.parametrize("fps", [12.5, 24.0, 30.0, 60.0, 119.88, 240.0])
def test_at_any_rate_it_reads_what_was_danced(file: Path, fps: float) -> None:
    meter, model = EffortMeter(OnnxModel(file)), OnnxModel(file)
    seen(meter, fps, 2.0)
    newest = (round(2.0 * fps) - 1) / fps
    last = newest - np.arange(15, -1, -1) / 30.0  # the window, if the last frame had been read
    while not meter.read():
        newest += 1.0 / fps
        last = newest - np.arange(15, -1, -1) / 30.0
        meter.see(frame(newest), 1.0 / fps)
    poses = [danced(time) for time in last]
    given = kinematics.global_positions(HUMANOID, *(np.array(part) for part in zip(*poses, strict=True)))
    model.inputs["dancer"][0] = given.reshape(16, -1)
    expected = model.step()["label/time"][0]
    assert meter.reading is not None
    # Curves through frames at 12.5 fps are up to a few millimetres off.
    np.testing.assert_allclose(list(meter.reading["time"].values()), expected, atol=0.1 if fps < 30.0 else 0.02)


def test_it_reads_ten_times_a_second_once_its_window_is_full(file: Path) -> None:
    times = seen(EffortMeter(OnnxModel(file)), 60.0, 3.0)
    assert times[0] == pytest.approx(0.6, abs=0.11)  # 16 frames at 30 fps, and the next that is due
    np.testing.assert_allclose(np.diff(times), 0.1)


def test_of_somebody_who_is_silent_nothing_is_read(file: Path) -> None:
    meter = EffortMeter(OnnxModel(file))
    seen(meter, 60.0, 2.0)
    assert meter.reading is not None
    seen(meter, 60.0, 0.5, still=True)
    assert meter.reading is None
    assert seen(meter, 60.0, 2.0, begin=3.0)[0] > 0.5  # and begins anew


def test_across_a_gap_nothing_is_read(file: Path) -> None:
    meter = EffortMeter(OnnxModel(file))
    seen(meter, 60.0, 2.0)
    meter.see(frame(5.0), 0.25)
    assert meter.reading is None


def test_a_model_that_is_no_meter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a 'duet' model; an effort meter needs a 'meter' model"):
        EffortMeter(OnnxModel(Path(__file__).resolve().parents[1] / "presets/models/salsa_duet.onnx"))


def test_a_reading_that_is_no_number_is_a_fault(file: Path) -> None:
    meter = EffortMeter(OnnxModel(file))
    seen(meter, 60.0, 2.0)
    meter.see(replace(frame(2.0), root_position=np.full(3, np.nan)), 0.1)
    with pytest.raises(ArithmeticError, match="non-finite"):
        meter.read()


def follower(**values: float) -> tuple[Follow, dict[str, float]]:
    follow = Follow([DIAL], {}, {"time": NAMES})
    return follow, Params([DIAL, *follow.params]).values | values


SURE = {"time": {"low": 0.0, "medium": 0.1, "high": 0.9}}  # the dancer is at 0.95


@pytest.mark.parametrize(("much", "place"), [(1.0, 0.95), (-1.0, 0.05), (0.5, 0.6), (0.0, 0.25)])
def test_a_dial_mirrors_or_opposes(much: float, place: float) -> None:
    follow, values = follower(**{"label/time": 0.25, "follow/time": much})
    for _ in range(600):
        knobs = follow.knobs(values, SURE, 1.0 / 60.0)
    assert knobs["label/time"] == pytest.approx(place, abs=1e-3)


def test_a_dial_never_jumps() -> None:
    follow, values = follower(**{"label/time": 0.25, "follow/time": 1.0})
    low = {"time": {"low": 1.0, "medium": 0.0, "high": 0.0}}
    heard = [None] * 30 + [SURE] * 120 + [low] * 60 + [None] * 120 + [SURE] * 30 + [None, low] * 30
    dial = [follow.knobs(values, reading, 1.0 / 60.0)["label/time"] for reading in heard]
    assert np.ptp(dial) > 0.5
    assert np.abs(np.diff(dial)).max() < 0.05  # a sixtieth of a second


def test_without_a_reading_it_is_the_dials_own_value_to_the_bit() -> None:
    follow, values = follower(**{"label/time": 0.3, "follow/time": 1.0})
    assert follow.knobs(values, None, 1.0 / 60.0) is values
    for _ in range(60):
        follow.knobs(values, SURE, 1.0 / 60.0)
    for _ in range(400):
        knobs = follow.knobs(values, None, 1.0 / 60.0)
    assert knobs is values


def test_off_it_costs_nothing_and_its_names_are_its_ends() -> None:
    follow, values = follower()
    assert follow.knobs(values, SURE, 1.0 / 60.0) is values
    (param,) = follow.params
    assert [param.named(name) for name in param.names] == [-1.0, 0.0, 1.0]


def test_labels_that_the_meter_does_not_know_are_not_followed() -> None:
    assert Follow([DIAL], {}, {"time": ("slow", "fast")}).params == ()
    assert Follow([DIAL, Param("variety", 1.0, 0.0, 1.5)], {}, {"space": ("in", "out")}).params == ()


def test_a_message_a_set_or_a_message_a_label() -> None:
    reading = Reading("dancer1", {"time": {"low": 0.125, "medium": 0.25, "high": 0.625}, "space": {"in": 1.0}})
    parsed = [osc_messages.parse(each)[0] for each in messages(reading)]
    assert parsed == [("/effort/dancer1/time", (0.125, 0.25, 0.625)), ("/effort/dancer1/space", (1.0,))]
    parsed = [osc_messages.parse(each)[0] for each in messages(reading, apart=True)]
    assert parsed[1] == ("/effort/dancer1/time/medium", (0.25,))
    assert len(parsed) == 4
    (odd,) = messages(Reading("dancer1", {"my own/set": {"very low": 1.0}}), apart=True)
    assert osc_messages.parse(odd)[0][0] == "/effort/dancer1/my_own_set/very_low"


class _Dances:
    """A model's stage that only notes where its dial is."""

    params = (DIAL,)

    def __init__(self) -> None:
        self.dial: list[float] = []

    def reset(self) -> None:
        pass

    def step(self, frame: PoseFrame, dt: float, params: dict[str, float]) -> PoseFrame:
        self.dial.append(params["label/time"])
        return frame


def show(file: Path, follow: float) -> tuple[Pipeline, _Dances]:
    model, meter = _Dances(), EffortMeter(OnnxModel(file))
    follower = Follow(model.params, {}, meter.sets)
    partner = PartnerLine("partner1", "dancer1", [model], meter=EffortMeter(OnnxModel(file)), follow=follower)
    dancer = DancerLine("dancer1", [], 60.0, meter=meter)
    return Pipeline([dancer], [partner], {"partner1/follow/time": follow}), model


def test_a_tick_reads_when_poses_have_left_and_sends_what_it_read(file: Path) -> None:
    pipeline, model = show(file, follow=1.0)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5.0)
        outputs = [
            ReadingOutput(EffortOutput(send="effort", port=peer.getsockname()[1], actor=actor))
            for actor in (None, "partner1")
        ]
        tick = Tick(pipeline, [], [], None, FakeClock(), 60.0, follow=True, reading_outputs=outputs)
        for number in range(60):
            tick.arrive("dancer1", frame(number / 60.0, number))
        for output in outputs:
            output.close()
        heard = [osc_messages.parse(peer.recv(512))[0] for _ in range(outputs[0].sender.counts["datagrams"])]
        assert {address for address, _ in heard} >= {"/effort/dancer1/time", "/effort/partner1/space"}
        assert all(sum(shares) == pytest.approx(1.0, abs=1e-5) for _, shares in heard)
        assert outputs[1].sender.counts["datagrams"] * 2 == outputs[0].sender.counts["datagrams"]
    assert model.dial[:30] == [0.5] * 30
    assert model.dial[-1] != 0.5


def test_a_meter_that_breaks_costs_the_show_nothing_but_its_readings(file: Path) -> None:
    pipeline, model = show(file, follow=1.0)
    meter = pipeline.dancers["dancer1"].meter
    assert meter is not None
    del meter._model.inputs["dancer"]
    for number in range(90):
        poses = list(pipeline.step("dancer1", frame(number / 60.0, number)))
        assert len(poses) == 2
        assert all(reading.actor == "partner1" for reading in pipeline.readings())
    assert meter.faults > 0
    assert set(model.dial) == {0.5}


def test_what_nobody_reads_is_not_kept_for_ever(file: Path) -> None:
    meter = EffortMeter(OnnxModel(file))
    for number in range(2000):
        meter.see(frame(number / 120.0, number), 1.0 / 120.0)
    assert len(meter._new) < 200


def test_a_set_of_any_size_is_read(tmp_path: Path) -> None:
    step = Graph(small_model(label_sets=(("mood", ("calm", "glad", "sad", "wild", "odd")),))).eval()
    meter = EffortMeter(OnnxModel(exporters_onnx.write(step, step.label("m"), tmp_path / "m.onnx")))
    seen(meter, 60.0, 1.0)
    assert meter.reading is not None
    assert list(meter.reading["mood"]) == ["calm", "glad", "sad", "wild", "odd"]

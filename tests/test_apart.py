"""An expert in a process of their own: answers, faults, ends and silence, with a real process."""

import os
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from server import apart
from server import preset as presets
from server.apart import Apart
from server.app import Show
from server.tick import Successor

MODELS = Path(__file__).resolve().parents[1] / "presets/models"


@dataclass
class Counting:
    """Adds what they are asked; refuses what is negative, ends at 100, is silent at 1000."""

    total: float = 0.0

    def __call__(self, asked: np.ndarray) -> tuple[float, int]:
        amount = float(asked.sum())
        if amount < 0.0:
            raise ArithmeticError(f"{amount:g} is negative")
        if amount == 100.0:
            os._exit(1)
        while amount == 1000.0:
            signal.pause()
        self.total += amount
        return self.total, os.getpid()


def counting(start: float) -> Counting:
    return Counting(start)


def broken() -> Callable[[int], int]:
    raise ValueError("no such model: x.onnx")


def unspeakable() -> Callable[[int], int]:
    class Local(Exception):
        """Cannot be pickled."""

    raise Local("by heart")


def test_an_expert_lives_elsewhere_and_remembers() -> None:
    expert = Apart(partial(counting, 2.0))
    first, second = expert(np.array([1.0, 2.0])), expert(np.array([4.0]))
    assert (first[0], second[0]) == (5.0, 9.0)
    assert first[1] == second[1] != os.getpid()


def test_faults_come_back_and_the_expert_stays() -> None:
    expert = Apart(partial(counting, 0.0))
    with pytest.raises(ArithmeticError, match="-3 is negative"):
        expert(np.array([-3.0]))
    assert expert(np.array([1.0]))[0] == 1.0


def test_an_expert_that_cannot_be_made_says_why() -> None:
    with pytest.raises(ValueError, match=r"no such model: x\.onnx"):
        Apart(broken)
    with pytest.raises(RuntimeError, match="Local: by heart"):
        Apart(unspeakable)


def test_a_process_that_ends_is_replaced() -> None:
    expert = Apart(partial(counting, 7.0))
    with pytest.raises(RuntimeError, match="has ended"):
        expert(np.array([100.0]))
    assert expert(np.array([1.0]))[0] == 8.0


def test_one_that_does_not_answer_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    expert = Apart(partial(counting, 7.0))
    monkeypatch.setattr(apart, "PATIENCE", 0.05)
    with pytest.raises(RuntimeError, match=r"not answered for 0\.05 seconds"):
        expert(np.array([1000.0]))
    monkeypatch.undo()
    assert expert(np.array([1.0]))[0] == 8.0


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no such signal here")
def test_one_that_is_stopped_and_deaf_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    expert = Apart(partial(counting, 7.0))
    stopped = expert._process
    os.kill(stopped.pid, signal.SIGSTOP)
    monkeypatch.setattr(apart, "PATIENCE", 0.05)
    with pytest.raises(RuntimeError, match="not answered"):
        expert(np.array([1.0]))
    monkeypatch.undo()
    assert not stopped.is_alive()
    assert expert(np.array([1.0]))[0] == 8.0


def test_who_is_not_needed_any_more_goes() -> None:
    expert = Apart(partial(counting, 0.0))
    process = expert._process
    del expert
    process.join(10.0)
    assert process.exitcode is not None


def test_experts_of_a_show_that_has_left_the_stage_end(tmp_path: Path) -> None:
    partner = {"dancer": "dancer1", "model": str(MODELS / "salsa_duet.onnx"), "sample": {}}
    data = {"format": 1, "dancers": {"dancer1": {"receive": "vmc", "port": 0}}, "partners": {"partner1": partner}}
    data |= {"outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}], "stage_page": "off"}
    path = tmp_path / "show.yaml"
    path.write_text(yaml.safe_dump(data))
    with closing(Show(presets.load(path), path)) as show:
        ((_, [first]),) = show._experts.of_shows
        successor = show._successor(presets.load(path), path)
        show._experts.let_go_of_the_past(show.tick.pipeline)
        assert first._process.is_alive()  # it dances until the other takes over
        show.tick.succeed(Successor("show", successor, None, 0.0))
        show.tick.hold_the_silent(show.tick.clock.now())
        show._experts.let_go_of_the_past(show.tick.pipeline)
        assert not first._process.is_alive()
        ((_, [second]),) = show._experts.of_shows
        assert second._process.is_alive()
    assert not second._process.is_alive()

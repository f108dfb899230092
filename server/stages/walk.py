"""A step that leaves the running of its models to whoever goes through it, so that several may be run as one.

A `Walk` yields the model whose inputs it has filled, is sent what that answers (or thrown what it raised), and returns
what the step would have. `at_once` is the step; `together` takes several, and models of one file have one run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from server.onnx_model import OnnxModel, Values, step_together
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages import Stage

Made = TypeVar("Made")
Walk = Generator[OnnxModel, dict[str, Values], Made]


def walk(stage: Stage, frame: PoseFrame, dt: float, params: Knobs) -> Walk[PoseFrame]:
    """A stage's step, in one piece where the stage has no `walk` of its own."""
    own: Callable[[PoseFrame, float, Knobs], Walk[PoseFrame]] | None = getattr(stage, "walk", None)
    if own is None:
        return stage.step(frame, dt, params)
    return (yield from own(frame, dt, params))


def at_once(walk: Walk[Made]) -> Made:
    """What a walk comes to, each model run by itself."""
    return together([walk])[0]


def together(walks: Sequence[Walk[Made]]) -> list[Made]:
    """What each walk comes to, in their order."""
    came: dict[int, Made] = {}
    waiting: dict[int, OnnxModel] = {}

    def go(number: int, answer: dict[str, Values] | Exception | None) -> None:
        try:
            if isinstance(answer, Exception):
                waiting[number] = walks[number].throw(answer)
            elif answer is None:
                waiting[number] = next(walks[number])
            else:
                waiting[number] = walks[number].send(answer)
        except StopIteration as end:
            came[number] = end.value

    for number in range(len(walks)):
        go(number, None)
    while waiting:
        groups: dict[object, list[int]] = {}
        for number, model in waiting.items():
            groups.setdefault(model.company, []).append(number)
        models, waiting = waiting, {}
        for numbers in groups.values():
            try:
                answers: Sequence[dict[str, Values] | Exception] = step_together([models[n] for n in numbers])
            except Exception as error:  # a model may raise anything; each walk has its own way with it
                answers = [error] * len(numbers)
            for number, answer in zip(numbers, answers, strict=True):
                go(number, answer)
    return [came[number] for number in range(len(walks))]

"""Models as the audience would see them: a recording through the live pipeline, frame by frame, offline.

One dancer's line serves every partner, as in a show with many: models and seeds cost their own steps and nothing else,
and dance bit for bit what each would alone. Models on windows answer through the same stage as live, their worker
synchronous, so their latency is in what they are judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from motion.clip import Clip
from motion.skeleton import HUMANOID
from server.lines import PartnerLine
from server.onnx_model import ModelError
from server.pipeline import Pipeline
from server.preset import Preset, PresetError
from server.protocols.frames import PoseFrame
from server.show import build_pipeline

DANCER = "dancer1"


@dataclass(frozen=True)
class Dance:
    """One take's raw lead and who dances to it: model files, each with the seed of its noise."""

    lead: Clip
    partners: tuple[tuple[Path, int], ...]


def render(dances: Sequence[Dance], processes: int = 1) -> list[list[Clip]]:
    """The partners of every dance, in order, on HUMANOID at the lead's rate. Raises ModelError as `render_partners`.

    processes: how many dances are rendered at once; any number gives the same poses.
    """
    if processes <= 1 or len(dances) <= 1:
        return [render_partners(dance) for dance in dances]
    longest_first = sorted(range(len(dances)), key=lambda place: -len(dances[place].lead))
    with ProcessPoolExecutor(min(processes, len(dances)), mp_context=get_context("spawn")) as pool:
        made = {place: pool.submit(render_partners, dances[place]) for place in longest_first}
        return [made[place].result() for place in range(len(dances))]


def render_partners(dance: Dance) -> list[Clip]:
    """The partners of one dance, frame for frame. Each has the stages, params and noise of a show of its own.

    Raises ModelError for a model that cannot be used, and at the first frame in which one fails.
    """
    lead = dance.lead
    shows = [_show(model, seed, place, lead.fps) for place, (model, seed) in enumerate(dance.partners)]
    lines = [line for show in shows for line in show.partners.values()]
    pipeline = Pipeline([shows[0].dancers[DANCER]], lines)
    root, rotations = np.empty((len(lines), len(lead), 3)), np.empty((len(lines), len(lead), len(HUMANOID), 4))
    places = {line.name: place for place, line in enumerate(lines)}
    for number, pose in enumerate(lead):
        time = number / lead.fps
        frame = PoseFrame(lead.skeleton, pose.root_position, pose.rotations, time, time, number)
        for made in pipeline.step(DANCER, frame):
            if made.actor in places:
                root[places[made.actor], number] = made.root_position
                rotations[places[made.actor], number] = made.rotations
        if pipeline.faults:
            raise _failure(pipeline, lines, dance, number)
    return [Clip(HUMANOID, lead.fps, root[place], rotations[place]) for place in range(len(lines))]


def _show(model: Path, seed: int, place: int, fps: float) -> Pipeline:
    """A show with one dancer and one partner at their defaults."""
    preset = Preset.model_validate(
        {
            "format": 1,
            "clock": {"follow": "dancer", "fps": fps},
            "seed": seed,
            "dancers": {DANCER: {"receive": "bvh", "file": "none"}},
            "partners": {f"partner{place}": {"dancer": DANCER, "model": model}},
            "control": False,
            "stage_page": False,
        }
    )
    try:
        return build_pipeline(preset, model)
    except PresetError as error:  # it names this preset's keys, which nobody wrote, and does not survive a process
        raise ModelError(f"{model} cannot dance: {error}") from None


def _failure(pipeline: Pipeline, lines: Sequence[PartnerLine], dance: Dance, number: int) -> ModelError:
    for (model, _), line in zip(dance.partners, lines, strict=True):
        if line.faults:
            return ModelError(f"{model} fails in frame {number}: {line.last_fault}")
    return ModelError(f"the dancer fails in frame {number}: {pipeline.dancers[DANCER].last_fault}")

"""The work of a frame, done once more for nothing but warm caches while the next one is awaited.

A rehearsal has a pipeline and encoders of its own and sends nothing, so the show's state is not touched; only the
weights of the models are shared. When to rehearse is for the receiver to say (`receivers/readiness.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.outputs import ActorOutput
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame


class Rehearsal:
    """Dances frames of one dancer with `pipeline`, a twin of the show's, up to the last byte."""

    def __init__(self, pipeline: Pipeline, outputs: Mapping[str, Sequence[ActorOutput]]) -> None:
        self._pipeline, self._outputs = pipeline, outputs

    def run(self, dancer: str, frame: PoseFrame) -> None:
        for pose in self._pipeline.step(dancer, frame):
            for output in self._outputs.get(pose.actor, ()):
                output.rehearse(pose)

"""The work of a frame, done once more for nothing but warm caches while the next one is awaited.

A rehearsal has a pipeline of its own and sends nothing, so the show's state is not touched; only the weights of the
models are shared. When to rehearse is for the receivers to say (`receivers/readiness.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from server.clock import Clock
from server.outputs import ActorOutput
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame

REST_SECONDS = 0.001  # who has worked within this time is warm


class Rehearsal:
    """Dances a dancer's last frame again with `pipeline`, a twin of the show's, up to the last byte."""

    def __init__(self, pipeline: Pipeline, outputs: Mapping[str, Sequence[ActorOutput]], clock: Clock) -> None:
        self._pipeline, self._outputs, self._clock = pipeline, outputs, clock
        self._turn = threading.Lock()
        self._worked, self._by = -REST_SECONDS, ""

    def worked(self, dancer: str = "") -> None:
        """A frame has just been danced, or rehearsed by this dancer."""
        self._worked, self._by = self._clock.now(), dancer

    def run(self, dancer: str, frame: PoseFrame) -> bool:
        """False, and nothing done, when the show, or somebody else's rehearsal, has everything warm already."""
        if self._by != dancer and self._clock.now() - self._worked < REST_SECONDS:
            return False
        if not self._turn.acquire(blocking=False):
            return False
        try:
            for pose in self._pipeline.step(dancer, frame):
                for output in self._outputs.get(pose.actor, ()):
                    output.rehearse(pose)
        finally:
            self.worked(dancer)
            self._turn.release()
        return True

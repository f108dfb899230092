"""Experts who live in processes of their own, show by show: those of a show that has left the stage end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.apart import Answer, Apart, Asked
from server.pipeline import Pipeline
from server.stages.worker import Home


class Experts:
    """of_shows: each show there was, in order, with its experts."""

    def __init__(self) -> None:
        self.of_shows: list[tuple[Pipeline, list[Apart[Any, Any]]]] = []

    def of_show(self, build: Callable[[Home], Pipeline]) -> Pipeline:
        """A show that is built with experts set apart. They end where it cannot be built, which is raised."""
        experts: list[Apart[Any, Any]] = []

        def apart(make: Callable[[], Callable[[Asked], Answer]]) -> Apart[Asked, Answer]:
            expert = Apart(make)
            experts.append(expert)
            return expert

        try:
            pipeline = build(apart)
        except Exception:
            _end(experts)
            raise
        self.of_shows.append((pipeline, experts))
        return pipeline

    def let_go_of_the_past(self, now: Pipeline) -> None:
        """now: the show that dances. Nobody else is needed once it dances alone, but whoever is to come."""
        place = next((place for place, (pipeline, _) in enumerate(self.of_shows) if pipeline is now), 0)
        if place and not now.crossing:
            for _, experts in self.of_shows[:place]:
                _end(experts)
            del self.of_shows[:place]

    def close(self) -> None:
        """Every one ends."""
        for _, experts in self.of_shows:
            _end(experts)


def _end(experts: list[Apart[Any, Any]]) -> None:
    for expert in experts:
        expert.close()

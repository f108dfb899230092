"""`/show/ladder [partner] RUNG`: who dances, for rehearsing what happens when a model fails."""

from __future__ import annotations

from collections.abc import Callable

from server.errands import Arguments
from server.params import Changes, ControlChange
from server.pipeline import Pipeline
from server.stages.ladder import AUTO, RUNGS


def ladder_command(changes: Changes, pipeline: Callable[[], Pipeline], arguments: Arguments) -> str:
    """What was asked for, in words. Raises ValueError naming the partners and the rungs there are."""
    lines = {name: line.ladder for name, line in pipeline().partners.items() if line.ladder is not None}
    match arguments:
        case (str(word),):
            asked = lines
        case (str(name), str(word)) if name in lines:
            asked = {name: lines[name]}
        case (str(name), str(_)):
            raise ValueError(f"no partner {name!r}; there are: {', '.join(lines) or 'none'}")
        case _:
            raise ValueError(f"takes a partner, if one is meant, and one of: {', '.join((*RUNGS, AUTO))}")
    able = {name: ladder for name, ladder in asked.items() if word == AUTO or word in ladder.rungs}
    if not able:
        there = {rung: None for ladder in asked.values() for rung in ladder.rungs}
        raise ValueError(f"no rung {word!r}; there are: {', '.join((*there, AUTO))}")
    for name in able:
        changes.put(ControlChange(f"ladder/{name}", word))
    return f"{', '.join(able)}: {word}"

"""What the arguments of a message say: numbers, seconds, a button let go, names with shares. No show is known here.

What makes no sense raises ValueError in words for whoever asked: what it takes, and what came instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from server.errands import Arguments

LONGEST_SECONDS = 600.0


def numbers(arguments: Arguments, takes: str) -> tuple[float, ...]:
    """The arguments, none of which may be anything but a number, True or False."""
    if not all(isinstance(argument, int | float) and math.isfinite(argument) for argument in arguments):
        raise ValueError(f"takes {takes}, not {' '.join(repr(argument)[:40] for argument in arguments[:4])}")
    return tuple(map(float, arguments))


def in_time(seconds: float) -> float:
    """The same seconds, where a change may take so long."""
    if not 0.0 <= seconds <= LONGEST_SECONDS:
        raise ValueError(f"{seconds:g} seconds; it takes 0 to {LONGEST_SECONDS:g}")
    return seconds


def is_release(arguments: Arguments) -> bool:
    """A pad sends 1 when it is pressed and 0 when it is let go."""
    return bool(arguments) and isinstance(arguments[0], int | float) and arguments[0] < 0.5


def names_and_shares(arguments: Sequence[Any], known: Mapping[str, str]) -> dict[str, float | None]:
    """Names with the share after each, None where there is none."""
    takes = f"takes names, each once and with one share at most, such as {next(iter(known))} 1"
    asked: dict[str, float | None] = {}
    for before, argument in zip((None, *arguments), arguments, strict=False):
        if isinstance(argument, str):
            if argument not in known:
                raise ValueError(f"{argument[:40]!r} is none of {', '.join(known)}")
            if argument in asked:
                raise ValueError(f"{takes}, not {argument} again")
            asked[argument] = None
        elif not isinstance(before, str):
            raise ValueError(f"{takes}, not {str(argument)[:40]}{'' if before is None else f' after {before}'}")
        else:
            (share,) = numbers((argument,), "a share after each name")
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{before} {share:g}; a share is 0 to 1")
            asked[before] = share
    return asked

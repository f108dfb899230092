"""A person's points in one OSC message, whatever its address: as many numbers as a body has. No sockets here.

`/mediapipe/pose`, `/pose/2`, `/p1/body` and the like: who sends points chooses the address. A whole number as a part of
it, alone or after `p`, `person`, `pose`, `body` or `id`, is the person's; without one it is 0. One number in front of a
body's says whether anybody is there: 0 is nobody.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion.skeleton import Array
from server.protocols import osc
from server.protocols.frames import PacketError

_NUMBER = re.compile(r"/(?:p|person|pose|body|id)?_?([0-9]{1,6})(?=/|$)", re.ASCII | re.IGNORECASE)
MAX_PEOPLE = 8  # in one datagram, so that none takes longer than a millisecond
MANY = 24  # numbers: a message with more must be a body or a mistake


class _Step(NamedTuple):
    """One body in a layout: whose, the places of its numbers, and that of the one that says whether they are there."""

    number: int
    columns: int
    places: NDArray[np.intp]
    flag: int | None


class _Plan(NamedTuple):
    steps: list[_Step]
    nobody: int  # messages of one number at an address where bodies come
    strangers: list[str]


class OscBodies:
    """Reads datagrams of bodies: `points` rows of one of `columns` numbers. expected: the same in words, for errors."""

    def __init__(self, points: int, columns: tuple[int, ...], expected: str) -> None:
        self._columns = {points * width: width for width in columns}
        self._expected = expected
        self._plans = osc.Plans(self._plan)

    def read(self, datagram: bytes | memoryview) -> tuple[dict[int, Array], int, list[str]]:
        """The people's rows (points, columns), any numbers, by number; how many messages said that nobody is there; and
        the addresses that mean nothing to us.

        Raises PacketError where a message has many numbers and no other is a body.
        """
        plan, layout = self._plans.find(datagram)
        values = layout.values(datagram)
        people: dict[int, Array] = {}
        nobody = plan.nobody
        for step in plan.steps:
            if step.flag is not None and values[step.flag] == 0.0:
                nobody += 1
            else:
                people[step.number] = values[step.places].reshape(-1, step.columns)
        return people, nobody, plan.strangers

    def _plan(self, layout: osc.Layout) -> _Plan:
        steps: list[_Step] = []
        strangers: list[str] = []
        wrong: list[str] = []
        nobody = 0
        for address, args in layout.messages:
            found = _NUMBER.search(address)
            number = int(found[1]) if found else 0
            numeric = all(isinstance(arg, osc.Slot) for arg in args)
            lead = 0 if len(args) in self._columns else 1
            columns = self._columns.get(len(args) - lead) if numeric else None
            if columns is not None:
                if len(steps) == MAX_PEOPLE:
                    raise PacketError(f"{address[:64]}: more than {MAX_PEOPLE} people in a datagram")
                places = np.array(args, dtype=np.intp)
                steps.append(_Step(number, columns, places[lead:], int(places[0]) if lead else None))
            elif numeric and len(args) == 1 and re.search("pose|body|person", address, re.IGNORECASE):
                nobody += 1
            else:
                strangers.append(address[:64])
                if len(args) > MANY:
                    wrong.append(f"{address[:64]} has {len(args)} arguments")
        if wrong and not steps:
            raise PacketError(f"{wrong[0]}; {self._expected}")
        return _Plan(steps, nobody, strangers)

"""What an effort meter has read, and the OSC messages that say so. No sockets here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from server.protocols.osc_messages import encode

Shares = Mapping[str, Mapping[str, float]]  # by label set, by label in its order: probabilities that add up to 1


@dataclass(frozen=True)
class Reading:
    """One actor's."""

    actor: str
    shares: Shares


def messages(reading: Reading, apart: bool = False) -> list[bytes]:
    """`/effort/<actor>/<label set>` with a number for each label in the set's order.

    apart: a message for each of them, `/effort/<actor>/<label set>/<label>` with one number.
    """
    made = []
    for of_set, shares in reading.shares.items():
        if apart:
            made += [encode(address(reading.actor, of_set, label), share) for label, share in shares.items()]
        else:
            made.append(encode(address(reading.actor, of_set), *shares.values()))
    return made


def address(*names: str) -> str:
    """Where a reading is, with an underscore for whatever means something else in an OSC address."""
    return "/".join(["/effort", *(re.sub(r"[\s#*,/?\[\]{}]", "_", name) for name in names)])

"""What an effort meter has read, and the OSC messages that say so. No sockets here."""

from __future__ import annotations

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
        address = f"/effort/{reading.actor}/{of_set}"
        if apart:
            made += [encode(f"{address}/{label}", share) for label, share in shares.items()]
        else:
            made.append(encode(address, *shares.values()))
    return made

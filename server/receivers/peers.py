"""Which of the senders that talk to one port a dancer follows: the newest that is stable.

A second suit app on the same network must not tear the dancer between two bodies. Every sender has a decoder of its
own; only the frames of the one that is followed count. Another one takes its place
* at once, with its first frame, when the followed one has been silent (an app that was restarted has a new port);
* when it appeared later and has sent frames for a second without a pause.
The older of two that go on sending has lost, and is named; it wins again only if it stops and comes back.
A sender is an address and port, and one that changes its port with every datagram is still one sender.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from server.protocols.frames import Decoder, PoseFrame

Address = tuple[Any, ...]  # as the socket names it: host, port, and what IPv6 adds

SILENT_SECONDS = 0.25
STABLE_SECONDS = 1.0
NAMED_SECONDS = 5.0  # how long one that is not followed is named
STABLE_FPS = 8.0
ESTABLISHED = 3  # datagrams: a sender that has sent fewer is replaced by one that was never heard before
MAX_RIVALS = 4


@dataclass(slots=True)
class Peer:
    """One sender. appeared: when it began, or began again; heard, framed: its last datagram and frame; steady_since:
    since when it has sent frames without a pause, and how many. Seconds."""

    address: Address
    decoder: Decoder
    appeared: float
    heard: float = -math.inf
    steady_since: float = math.inf
    framed: float = -math.inf
    frames: int = 0
    datagrams: int = 0


class Peers:
    """The senders of one dancer at one port. decoder: makes one for a sender."""

    def __init__(self, decoder: Callable[[], Decoder]) -> None:
        self.counts: Counter[str] = Counter()  # sender_changes, dropped_other_sender, dropped_too_many_senders
        self._make = decoder
        self._followed = Peer((), decoder(), -math.inf)
        self._rivals: dict[Address, Peer] = {}
        self._heard_before: deque[Address] = deque(maxlen=2 * MAX_RIVALS)

    @property
    def decoder(self) -> Decoder:
        """Of the sender that is followed."""
        return self._followed.decoder

    @property
    def deadline(self) -> float | None:
        """The first moment at which a frame that is open will be closed."""
        if not self._rivals:
            return self._followed.decoder.deadline
        open_until = [p.decoder.deadline for p in self._all() if p.decoder.deadline is not None]
        return min(open_until, default=None)

    def others(self, now: float) -> list[str]:
        """The senders that are heard of late and not followed, as host:port."""
        rivals = list(self._rivals.values())
        return [f"{p.address[0]}:{p.address[1]}" for p in rivals if now - p.heard < NAMED_SECONDS]

    def is_followed(self, address: Address) -> bool:
        return address == self._followed.address

    def is_dancing(self, address: Address, now: float) -> bool:
        """Whether that is the sender that is followed, and frames of it have come of late."""
        return self.is_followed(address) and now - self._followed.framed <= SILENT_SECONDS

    def feed(self, datagram: memoryview, address: Address, now: float) -> list[PoseFrame]:
        """The frames a datagram makes whole, if its sender is followed. Raises PacketError."""
        peer = self._peer(address, now)
        if peer is None:
            self.counts["dropped_too_many_senders"] += 1
            return []
        return self._judged(peer, peer.decoder.feed(datagram, now), now)

    def flush(self, now: float) -> list[PoseFrame]:
        """The open frame of the sender that is followed, if its deadline has come."""
        if not self._rivals:
            return self._followed.decoder.flush(now)
        return [frame for peer in self._all() for frame in self._judged(peer, peer.decoder.flush(now), now)]

    def _all(self) -> Iterator[Peer]:
        yield self._followed
        yield from list(self._rivals.values())

    def _peer(self, address: Address, now: float) -> Peer | None:
        followed = self._followed
        if address != followed.address:
            if followed.datagrams >= ESTABLISHED or address in self._heard_before:
                return self._rival(address, now)
            self._heard_before.append(address)
            followed.address, followed.appeared, followed.datagrams = address, now, 0
        return _heard(followed, now)

    def _rival(self, address: Address, now: float) -> Peer | None:
        rival = self._rivals.get(address)
        if rival is None:
            for gone in [a for a, p in self._rivals.items() if now - p.heard > NAMED_SECONDS]:
                del self._rivals[gone]
            if len(self._rivals) >= MAX_RIVALS and not self._make_room():
                return None
            rival = self._rivals[address] = Peer(address, self._make(), now)
        return _heard(rival, now)

    def _make_room(self) -> bool:
        """Forgets the rival that has talked longest without a frame: noise shall not keep a suit out."""
        noise = [rival for rival in self._rivals.values() if rival.framed == -math.inf]
        if noise:
            del self._rivals[min(noise, key=lambda rival: rival.appeared).address]
        return bool(noise)

    def _judged(self, peer: Peer, frames: list[PoseFrame], now: float) -> list[PoseFrame]:
        """The frames, if their sender is the one to follow, which they may have made it."""
        if not frames:
            return frames
        if now - peer.framed > SILENT_SECONDS:
            peer.steady_since, peer.frames = now, 0
        peer.framed = now
        peer.frames += len(frames)
        followed = self._followed
        if peer is followed:
            return frames
        steady = now - peer.steady_since
        stable = steady >= STABLE_SECONDS and peer.frames >= STABLE_FPS * steady
        if not (stable and peer.appeared > followed.appeared) and now - followed.framed <= SILENT_SECONDS:
            self.counts["dropped_other_sender"] += len(frames)
            return []
        self.counts["sender_changes"] += 1
        del self._rivals[peer.address]
        self._rivals[followed.address], self._followed = followed, peer
        return frames


def _heard(peer: Peer, now: float) -> Peer:
    if now - peer.heard > STABLE_SECONDS:
        peer.appeared = now
    peer.heard = now
    peer.datagrams += 1
    return peer

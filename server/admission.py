"""Who is heard at the remote control, and how often: a rate for each address, and a token where the show wants one.

No sockets and no clock here; what is remembered of senders is bounded, and forgotten once they are silent.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Hashable

MOST_ADDRESSES = 256
MOST_SENDERS = 32
FORGOTTEN_SECONDS = 3600.0  # of silence; a sender's port may have become another program's since


class Rates:
    """So many a second from each address, and twice as many at once. Any thread may ask."""

    def __init__(self, rate: float) -> None:
        self._rate, self._most = rate, 2.0 * rate
        self._left: dict[Hashable, tuple[float, float]] = {}  # and when that was; whoever spoke last stands last
        self._lock = threading.Lock()

    def take(self, address: Hashable, now: float, cost: float = 1.0) -> bool:
        """Whether one more is heard. cost: of this one, which may leave less than nothing for those to come."""
        with self._lock:
            left, at = self._left.pop(address, (self._most, now))
            left = min(self._most, left + self._rate * (now - at))
            heard = left >= 1.0
            self._left[address] = (left - cost if heard else left, now)
            if len(self._left) > MOST_ADDRESSES:
                del self._left[next(iter(self._left))]
        return heard

    def charge(self, address: Hashable, cost: float) -> None:
        """What was heard was more than one."""
        with self._lock:
            if address in self._left:
                left, at = self._left[address]
                self._left[address] = left - cost, at


class Token:
    """The senders that have shown the token; everybody counts as one where it is empty."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._heard: dict[Hashable, float] = {}  # whoever spoke last stands last

    def shown(self, said: object, sender: Hashable, now: float) -> bool:
        """Whether that is the token; its sender is heard from now on. Takes as long for every wrong one."""
        right = not self._token or (isinstance(said, str) and hmac.compare_digest(said.encode(), self._token))
        if right:
            self._remember(sender, now)
        return right

    def knows(self, sender: Hashable, now: float) -> bool:
        if not self._token:
            return True
        if now - self._heard.get(sender, -FORGOTTEN_SECONDS) >= FORGOTTEN_SECONDS:
            return False
        self._remember(sender, now)
        return True

    def _remember(self, sender: Hashable, now: float) -> None:
        self._heard.pop(sender, None)
        self._heard[sender] = now
        if len(self._heard) > MOST_SENDERS:
            del self._heard[next(iter(self._heard))]

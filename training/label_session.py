"""One person labelling: which window comes next, what is undone, how far it is. No page here.

Windows come in the order they are given in. Some come up a second time, later and without a word that they do, to tell
how far somebody agrees with oneself. What is skipped cannot be told and is not asked for again; what is passed over
comes up once everything else is done.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.label_book import Book, Lines, SideLines
from training.label_windows import Window

UNDOS = 100
GAP = 12  # other windows that are labelled before one comes up again, so that nobody remembers it


@dataclass(frozen=True)
class Card:
    """What somebody is asked: a window by its number, for the first time or again."""

    window: int
    again: bool = False


class Session:
    """Book and cards. `card` is what is shown, None when all is done. repeat: the share of windows that come again.

    Raises ValueError when no window is left to be labelled by this person.
    """

    def __init__(self, windows: Sequence[Window], book: Book, repeat: float = 0.0, seed: int = 0) -> None:
        self.book = book
        self._open = [
            (window, tuple(name for name, _ in book.sets if not book.taken(window, name))) for window in windows
        ]
        self._open = [(window, names) for window, names in self._open if names]
        if not self._open:
            raise ValueError(f"the labels of {book.path} cover all {len(windows)} windows, cut otherwise than these")
        count = len(self._open)
        again = np.random.default_rng(seed + 1).permutation(count)[: round(repeat * count)]
        self._repeated = sorted(again.tolist())
        self._shown: list[Card] = []  # what has been on the page, in order
        self._place = -1
        self._undo: deque[tuple[int, tuple[Lines, SideLines]]] = deque(maxlen=UNDOS)
        self.next()

    @property
    def card(self) -> Card | None:
        return self._shown[self._place] if self._place < len(self._shown) else None

    @property
    def window(self) -> Window | None:
        return self._open[self.card.window][0] if self.card else None

    @property
    def sets(self) -> tuple[str, ...]:
        """The label sets that are asked for here."""
        return self._open[self.card.window][1] if self.card else ()

    def said(self, of_set: str) -> str:
        """What was answered on this card; empty when nothing was."""
        return self.book.said(self.window, of_set, self.card.again) if self.card else ""

    def label(self, of_set: str, label: str) -> None:
        """Answer; the next card comes when all sets are answered. Raises OSError when it cannot be written down."""
        if self.card is None or of_set not in self.sets:
            return
        before = self._place, (self.book.lines, self.book.side)
        self.book.say(self.window, of_set, label, self.card.again)
        self._undo.append(before)
        if all(self.said(name) for name in self.sets):
            self.next()

    def skip(self) -> None:
        """This cannot be told, or not what is still open of it; the next card. Raises as `label`."""
        if self.card is None:
            return
        if not self.card.again:
            before = self._place, (self.book.lines, self.book.side)
            self.book.skip(self.window, [name for name in self.sets if not self.said(name)] or self.sets)
            self._undo.append(before)
        self.next()

    def undo(self) -> bool:
        """Take back the last answer or skip, and show its card; False when there is none. Raises as `label`."""
        if not self._undo:
            return False
        place, written = self._undo[-1]
        self.book.turn_to(*written)
        self._undo.pop()
        self._place = place
        return True

    def next(self) -> None:
        """The next card, without an answer to this one."""
        if self._place < len(self._shown):
            self._place += 1
        if self._place >= len(self._shown) and (card := self._choose()):
            self._shown.append(card)

    def previous(self) -> None:
        """The card before."""
        self._place = max(self._place - 1, 0)

    def counts(self) -> dict[str, Counter[str]]:
        """How often each label was given, by set."""
        made = {}
        for name, labels in self.book.sets:
            made[name] = Counter(dict.fromkeys(labels, 0))
            made[name].update(said for window, _ in self._open if (said := self.book.said(window, name)))
        return made

    def progress(self) -> tuple[int, int, int]:
        """How many windows are labelled, how many skipped, and how many there are."""
        skipped = sum(self._skipped(place) for place in range(len(self._open)))
        return sum(map(self._done, range(len(self._open)))) - skipped, skipped, len(self._open)

    def _choose(self) -> Card | None:
        """What comes next: what is due again, what is new, what came once, what was passed over."""
        seen, everything = {card: place for place, card in enumerate(self._shown)}, range(len(self._open))
        again = [Card(place, True) for place in self._repeated if self._may_come_again(place)]
        again = [card for card in again if card not in seen]
        new = [Card(place) for place in everything if not self._done(place)]
        fresh = [card for card in new if card not in seen]
        when = [self._when(place) for place in everything]
        order = sorted(when)
        due = [card for card in again if len(order) - bisect_right(order, when[card.window]) >= GAP]
        late = sorted(new, key=lambda card: seen.get(card, -1))  # who was passed over longest ago
        return next(iter([*due, *fresh, *again, *late]), None)

    def _done(self, place: int) -> bool:
        window, names = self._open[place]
        return all(self.book.said(window, name) or self.book.skipped(window, name) for name in names)

    def _skipped(self, place: int) -> bool:
        window, names = self._open[place]
        return self._done(place) and any(self.book.skipped(window, name) for name in names)

    def _may_come_again(self, place: int) -> bool:
        """Whether this person has labelled a window, and once."""
        window, names = self._open[place]
        mine = all(self.book.said_when(window, name)[0] == self.book.who for name in names)
        open_again = not all(self.book.said(window, name, again=True) for name in names)
        return mine and open_again and self._done(place) and not self._skipped(place)

    def _when(self, place: int) -> str:
        window, names = self._open[place]
        return max(self.book.said_when(window, name)[1] for name in names)

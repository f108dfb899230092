"""A scorecard as it leaves the house: printed for people, JSON for machines, markdown with a picture for a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from benchmarks import report
from training.scorecards import table


class Scorecard(Protocol):
    """rows: figures by subject and key, NaN for what cannot be had. about: lines that say what was judged how."""

    @property
    def rows(self) -> dict[str, dict[str, float]]: ...
    @property
    def about(self) -> list[str]: ...
    @property
    def shown(self) -> tuple[str, ...]:
        """The keys, in the order they are printed in."""

    def details(self, picture: Path) -> str:
        """What the written scorecard has below the table, in markdown; may draw `picture` beside it."""


def text(scorecard: Scorecard, title: str) -> str:
    """What was judged how, and the table."""
    about = "\n".join(scorecard.about)
    return f"{about}\n\n{report.table(title, table.readable(_shown(scorecard), scorecard.rows))}"


def write_json(file: Path, scorecard: Scorecard) -> None:
    """One flat object a subject; null is what cannot be had."""
    report.write(file, table.finite(scorecard.rows), nested=True)


def write_markdown(file: Path, scorecard: Scorecard, title: str) -> None:
    """The table and the details, which may have a picture of the same name beside the file."""
    about = "\n".join(f"- {line}" for line in scorecard.about)
    figures = table.markdown(_shown(scorecard), scorecard.rows)
    details = scorecard.details(file.with_suffix(".png"))
    file.write_text(f"# Scorecard of {title}\n\n{about}\n\n{figures}\n\n{details}", encoding="utf-8")


def _shown(scorecard: Scorecard) -> list[str]:
    return [key for key in scorecard.shown if any(key in row for row in scorecard.rows.values())]

"""A scorecard as it leaves the house: printed for people, JSON for machines, markdown with a picture for a folder."""

from __future__ import annotations

from pathlib import Path

from benchmarks import report
from training.scorecards import duet, table
from training.scorecards.duet import Scorecard


def text(scorecard: Scorecard, title: str) -> str:
    """What was judged how, and the table."""
    about = "\n".join(scorecard.about)
    return f"{about}\n\n{report.table(title, table.readable(_shown(scorecard), scorecard.rows))}"


def write_json(file: Path, scorecard: Scorecard) -> None:
    """One flat object a subject; null is what cannot be had."""
    report.write(file, table.finite(scorecard.rows), nested=True)


def write_markdown(file: Path, scorecard: Scorecard, title: str) -> None:
    """The table, each take's error, and a picture of the same name beside the file."""
    about = "\n".join(f"- {line}" for line in scorecard.about)
    figures = table.markdown(_shown(scorecard), scorecard.rows)
    details = duet.details(scorecard, file.with_suffix(".png"))
    file.write_text(f"# Scorecard of {title}\n\n{about}\n\n{figures}\n\n{details}", encoding="utf-8")


def _shown(scorecard: Scorecard) -> list[str]:
    return [key for key in duet.SHOWN if any(key in row for row in scorecard.rows.values())]

"""What was read, cleaned and dropped: the facts of all recordings as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAME = "data_report"
_PRINTED = 12  # lines; the file has all


def write(report: dict[str, Any], folder: Path) -> Path:
    """data_report.json and data_report.md in `folder`. Returns the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    path = folder / f"{NAME}.md"
    path.write_text(markdown(report), encoding="utf-8")
    return path


def summary(report: dict[str, Any]) -> str:
    """A few lines for the terminal."""
    total, notes = report["total"], report["notes"]
    lines = [
        f"read {total['files']} recordings: {total['takes']} takes, {total['minutes']:.1f} minutes at "
        f"{report['fps']:g} fps on {report['body']}",
        f"cleaned: {_share(total['glitch_frames'], total['frames'])} of the frames are glitches, "
        + ("repaired in what the model should say" if report["repaired"] else "left to the median filters"),
        f"dropped: {_share(total['dropped_frames'], total['frames'])} of the frames"
        + (f"; {len(report['alone'])} recordings have no partner" if report["alone"] else ""),
        *(f"  {note}" for note in notes[:_PRINTED]),
    ]
    return "\n".join(lines + ([f"  and {len(notes) - _PRINTED} more remarks"] if len(notes) > _PRINTED else []))


def markdown(report: dict[str, Any]) -> str:
    """The whole report."""
    lines = [
        "# What was read, cleaned and dropped",
        "",
        *(f"{line}  " for line in summary(report).splitlines()[:3]),
        "",
    ]
    if report["notes"]:
        lines += ["## Remarks", "", *(f"* {note}" for note in report["notes"]), ""]
    lines += ["## Recordings", "", _row(_HEADS), _row(["---"] * len(_HEADS))]
    lines += [_row(_cells(file)) for file in report["files"]]
    lines += ["", "Frames count at the file's rate. Glitches are counted in the parts that are used.", ""]
    lines += ["## As they were read", "", *(f"* {file['file']}: {_reading(file)}" for file in report["files"]), ""]
    if report["alone"]:
        lines += ["## Without a partner, not used", "", *(f"* {name}" for name in report["alone"]), ""]
    return "\n".join(lines)


def make(
    takes: Sequence[tuple[str, dict[str, Any], dict[str, Any]]], body: str, alone: Sequence[str], repaired: bool
) -> dict[str, Any]:
    """The report of takes (name, the lead's facts, the follower's) as plain values."""
    files = [facts for _, lead, follow in takes for facts in (lead, follow)]
    listed = [{key: value for key, value in facts.items() if key != "skeleton"} for facts in files]
    for facts, entry in zip(files, listed, strict=True):
        entry["joints"] = len(facts["skeleton"]["names"])
        entry["used_frames"] = _used(facts)
    seconds = sum(sum(lead["track_frames"]) / lead["rate"] for _, lead, _ in takes)
    frames = sum(facts["frames"] for facts in files)
    return {
        "body": body,
        "fps": files[0]["rate"],
        "repaired": repaired,
        "total": {
            "files": len({(facts["file"], facts["note"]) for facts in files}),
            "takes": len(takes),
            "minutes": seconds / 60.0,
            "frames": frames,
            "dropped_frames": frames - sum(map(_used, files)),
            "glitch_frames": sum(facts["glitch_frames"] for facts in files),
        },
        "notes": [note for take in takes for note in _remarks(*take)],
        "files": listed,
        "alone": list(alone),
    }


_DOUBTFUL = ("no rest pose", "moving offsets")  # how a reader begins what somebody should look at
_HEADS = ["file", "frames", "fps", "joints", "used", "dropped at start", "glitches", "resampled to", "raised by"]


def _cells(file: dict[str, Any]) -> list[str]:
    resampled = f"{file['rate']:g} fps" if file["resampled"] else "-"
    return [
        file["file"],
        str(file["frames"]),
        f"{file['fps']:.6g}",
        str(file["joints"]),
        str(file["used_frames"]),
        str(file["dropped_first"]),
        _share(file["glitch_frames"], file["used_frames"]),
        resampled,
        f"{100 * file['floor_shift']:.1f} cm",
    ]


def _reading(file: dict[str, Any]) -> str:
    unmapped = f"; not on this body: {', '.join(file['unmapped'])}" if file["unmapped"] else ""
    return f"{file['note']}{unmapped}; sha256 {file['sha256'][:16]}"


def _remarks(name: str, lead: dict[str, Any], follow: dict[str, Any]) -> list[str]:
    """What somebody should look at."""
    remarks = []
    if lead["frames"] != follow["frames"] or abs(lead["fps"] - follow["fps"]) > 0.01 * lead["fps"]:
        remarks.append(
            f"{name}: {lead['frames']} frames at {lead['fps']:g} fps beside {follow['frames']} at {follow['fps']:g}, "
            f"read by time: {sum(lead['track_frames'])} frames"
        )
    for facts in (lead, follow):
        if abs(facts["floor_shift"]) > 0.15:
            remarks.append(f"{facts['file']}: stands {100 * facts['floor_shift']:+.0f} cm off the floor; moved onto it")
        if facts["glitch_frames"] > 0.05 * _used(facts):
            remarks.append(
                f"{facts['file']}: {_share(facts['glitch_frames'], _used(facts))} of the frames are glitches"
            )
        clauses = facts["note"].split("; ")
        remarks += [
            f"{facts['file']}: {said}" for said in clauses if said.startswith(_DOUBTFUL) or "no known unit" in said
        ]
    return remarks


def _used(facts: dict[str, Any]) -> int:
    """Frames at the file's rate that are in a track."""
    return min(facts["frames"], round(sum(facts["track_frames"]) * facts["fps"] / facts["rate"]))


def _share(part: int, whole: int) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole else "0 %"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

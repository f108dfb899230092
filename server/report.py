"""What the show says of itself: the figures for the page and for machines, the block at the start, the status line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from motion.skeleton import Array
from server.lines import DancerLine, PartnerLine
from server.preset import Preset
from server.receivers import Receiver
from server.stages.calibrate import Calibrate
from server.stages.effort import EffortMeter
from server.stages.ladder import Ladder
from server.stages.sampled_partner import SampledPartner
from server.steering import Steering
from server.tapes import Tapes
from server.tick import Tick


class Report:
    """Reads the running show; changes nothing."""

    HOW_TO_STOP = "  Ctrl-C stops the show."

    def __init__(
        self,
        name: str,
        preset: Preset,
        tick: Tick,
        receivers: Mapping[str, Receiver],
        steering: Steering | None,
        tapes: Tapes,
    ) -> None:
        self._name, self._preset, self._tick = name, preset, tick
        self._receivers, self._steering, self._tapes = receivers, steering, tapes
        self._started = time.perf_counter()
        self.newest: dict[str, Any] | None = None  # the figures as they were last made

    def figures(self) -> dict[str, Any]:
        """The stats message; see docs/wire.md for its keys."""
        self.newest = figures = self._figures()
        return figures

    def _figures(self) -> dict[str, Any]:
        now = self._tick.clock.now()
        stats, pipeline = self._tick.stats, self._tick.pipeline
        dancers: dict[str, dict[str, Any]] = {}
        for name, timeline in self._tick.timelines.items():
            newest = timeline.newest
            counts = dict(self._receivers[name].counts) | dict(timeline.counts)
            line = pipeline.dancers[name]
            dancers[name] = {
                "state": timeline.state(now),
                "age_ms": None if newest is None else round(1000.0 * (now - newest.receive_time), 1),
                "source": self._receivers[name].describe(),
                "other_senders": self._receivers[name].others,
                "calibration": _calibration(line.calibrate),
                **_made(line),
                "clock_skew_ppm": _rounded(timeline.skew.ppm(), 1),
                "counts": counts | ({"faults": line.faults} if line.faults else {}) | _meter_faults(line.meter),
                "fault": line.last_fault,
                "effort": _effort(line.meter),
            }
        partners = {
            name: {
                "dancer": line.dancer,
                "state": "frozen" if pipeline.frozen else line.state,
                "model": line.model,
                "device": line.device,
                "latency_ms": round(1000.0 * line.latency),
                "ahead_ms": round(1000.0 * line.ahead),
                "sample": sampled(line),
                "counts": line.counts | _meter_faults(line.meter),
                "ladder": _ladder(line.ladder),
                "faults": line.faults,
                "fault": line.last_fault,
                "effort": _effort(line.meter),
            }
            for name, line in pipeline.partners.items()
        }
        params = [
            {
                "name": param.name,
                "value": _numbers(pipeline.params.target(param.name)),
                "default": param.default,
                "low": param.low,
                "high": param.high,
                "about": param.about,
                "size": param.size,
                "names": list(param.names),
            }
            for param in pipeline.table
        ]
        return {
            "show": self._name,
            "time": time.time(),
            "uptime_s": round(time.perf_counter() - self._started, 1),
            "clock": "follow dancer" if self._preset.clock.follow else f"{self._preset.clock.fps:g} fps",
            "fps_in": {name: round(rate.value(now), 1) for name, rate in stats.rates_in.items()},
            "fps_out": round(stats.rate_out.value(now), 1),
            "latency_p50_ms": _milliseconds(stats.latency.percentile(50)),
            "latency_p99_ms": _milliseconds(stats.latency.percentile(99)),
            "pipeline_p50_ms": _milliseconds(stats.pipeline.percentile(50)),
            "late": stats.counts["late"],
            "stood_in": stats.counts["stood_in"],
            "dropped": sum(_lost(dancer["counts"]) for dancer in dancers.values()),
            "ticks": stats.counts["ticks"],
            "output_faults": stats.counts["output_faults"],
            "unknown_control": stats.counts["unknown_control"],
            "dancers": dancers,
            "partners": partners,
            "params": params,
            "frozen": pipeline.frozen,
            "outputs": [{"to": o.label, "counts": dict(o.sender.counts)} for o in self._tick.way_out.all_outputs],
            "output_fault": stats.first_fault,
            **(self._steering.figures() if self._steering else Steering.NONE),
            **self._tapes.figures(),
        }

    def opening(self, page: str | None) -> str:
        """The block a person reads at the start."""
        lines = [f"Pas de Deux · {self._name}", ""]
        lines += [f"  hears    {name}: {receiver.describe()}" for name, receiver in self._receivers.items()]
        for name, line in self._tick.pipeline.partners.items():
            behind = _behind(1000.0 * line.latency, 1000.0 * line.ahead)
            lines.append(f"  dances   {name} with {line.dancer}: {line.model} on {line.device}{behind}")
        lines += [f"  sends    {output.label}" for output in self._tick.way_out.all_outputs]
        if self._steering:
            lines.append(f"  control  {self._steering.describe()}")
        if self._tapes.replay is not None:
            lines.append(f"  replays  {self._tapes.replay.recording.folder}")
        if self._tapes.recorder.folder is not None:
            lines.append(f"  records  {self._tapes.recorder.folder}")
        if page is not None:
            lines.append(f"  stage    {page}")
        return "\n".join([*lines, "", self.HOW_TO_STOP])


def status_line(figures: Mapping[str, Any]) -> str:
    """One line that fits a terminal; it ends with the latency's p50/p99."""
    dancers = " ".join(
        f"{name} {dancer['state']} {figures['fps_in'][name]:.0f} fps" for name, dancer in figures["dancers"].items()
    )
    partners = " ".join(f"{name} {partner['state']}{_timing(partner)}" for name, partner in figures["partners"].items())
    p50, p99 = figures["latency_p50_ms"], figures["latency_p99_ms"]
    latency = "-" if p50 is None else f"{p50:.1f}/{p99:.1f} ms"
    lost = f"late {figures['late']} dropped {figures['dropped']}{_taped(figures['recording'], figures['replay'])}"
    return f"{dancers} | {partners} | {lost} | out {figures['fps_out']:.0f} | {latency}"


def _taped(recording: Mapping[str, Any], replay: Mapping[str, Any] | None) -> str:
    """What a recording and a replay have come to; nothing where there is neither."""
    said = ""
    if recording["fault"]:
        said = f" | {recording['fault']}"
    elif recording["folder"]:
        counts = recording["counts"]
        said = f" | recording {counts.get('bytes', 0) / 1e6:.1f} MB"
        said += f" {counts['lost']} lost" if counts.get("lost") else ""
    if replay:
        said += f" | replay {replay['seconds']:.0f} s"
        said += "" if replay["same"] is None else f" {replay['same']} same {replay['different']} different"
    return said


def _timing(partner: Mapping[str, Any]) -> str:
    late = partner["counts"].get("late_windows", 0)
    return _behind(partner["latency_ms"], partner["ahead_ms"]) + (f" ({late} windows late)" if late else "")


def _behind(latency_ms: float, ahead_ms: float) -> str:
    """How late a partner answers by design; nothing for one that answers at once."""
    predicted = f", {ahead_ms:.0f} ms of it predicted" if ahead_ms else ""
    return f", {latency_ms:.0f} ms behind{predicted}" if latency_ms else ""


def _numbers(value: float | Array) -> float | list[float]:
    return value if isinstance(value, float) else [float(number) for number in value]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000.0 * seconds, 3)


def _calibration(stage: Calibrate | None) -> str:
    """How a dancer's calibration stands, for people; empty without one."""
    return "" if stage is None else f"{stage.state}: {stage.about}" if stage.about else stage.state


def _made(line: DancerLine) -> dict[str, Any]:
    """What is made of a dancer's frames beside what they say."""
    upsample, forecast = line.upsample, line.forecast
    surprise = None if forecast is None or forecast.surprise is None else round(1000.0 * forecast.surprise, 1)
    return {
        "upsampling": None if upsample is None else dict(upsample.counts),
        "latency_ms": 0 if upsample is None else round(1000.0 * upsample.latency),
        "forecast_ms": 0 if forecast is None else round(1000.0 * forecast.ahead),
        "surprise_mm": surprise,
    }


def sampled(line: PartnerLine) -> dict[str, Any] | None:
    """What a partner is told, and what came of it. infeasible: of poses, and of plans where those are drawn."""
    sample = line.sample
    if sample is None:
        return None
    answer = sample.answer
    plans = [pair for stage in line.stages if isinstance(stage, SampledPartner) for pair in stage.infeasible]
    return {
        "wishes": {name: list(numbers) for name, numbers in sample.wishes.told.items()},
        "follows": dict(sample.wishes.follow),
        "missed_mm": {joint: round(1000.0 * missed, 1) for joint, missed in answer.missed.items()},
        "infeasible": list(dict.fromkeys([*answer.infeasible, *plans])),
    }


def _meter_faults(meter: EffortMeter | None) -> dict[str, int]:
    return {} if meter is None or not meter.faults else {"meter_faults": meter.faults}


def _effort(meter: EffortMeter | None) -> dict[str, dict[str, float]] | None:
    """What is read of somebody, by label set: nothing yet, or no longer, is empty."""
    if meter is None:
        return None
    return {
        name: {label: round(share, 4) for label, share in shares.items()}
        for name, shares in (meter.reading or {}).items()
    }


def _ladder(ladder: Ladder | None) -> dict[str, Any] | None:
    """Which rung a partner is on, and why."""
    return None if ladder is None else {"rung": ladder.rung, "forced": ladder.forced, "why": ladder.why}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _lost(counts: Mapping[str, int]) -> int:
    return sum(n for reason, n in counts.items() if reason.startswith("dropped") or reason == "out_of_order")

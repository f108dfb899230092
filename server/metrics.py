"""The show's figures for Prometheus, in its text format. Reads what the status line reads; changes nothing.

Names and units: https://prometheus.io/docs/practices/naming/; docs/operations.md has them in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from server.stages.ladder import RUNGS
from server.stats import Recent, Stats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUANTILES = (0.5, 0.99, 0.999)
_NAME = "pas_de_deux"


class Metrics(Collector):
    """figures: the stats message, a fifth of a second old at most. stats: what it was made of."""

    def __init__(self, figures: Callable[[], Mapping[str, Any]], stats: Stats) -> None:
        self._figures, self._stats = figures, stats
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)  # memory, processor's seconds, open files; Linux has them

    def __call__(self) -> tuple[str, bytes]:
        """What it is, and everything as it is now."""
        return CONTENT_TYPE, generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing is known of names before the show runs."""
        return ()

    def collect(self) -> Iterable[Metric]:
        figures = self._figures()
        yield _gauge("uptime_seconds", "since the show was opened", {(): figures["uptime_s"]})
        yield from self._times(figures)
        yield from _of_dancers(figures)
        yield from _of_partners(figures["partners"])
        outputs = {(output["to"],): output["counts"] for output in figures["outputs"]}
        yield _counts("output_events", "of each output: what was sent, and what could not be", ("output",), outputs)
        yield _counts("control_events", "of OSC and OSCQuery", (), {(): figures["control_counts"]})
        recorded = {(): figures["recording"]["counts"]}
        yield _counts("recording_events", "of the recording that runs: records, bytes, lost", (), recorded)

    def _times(self, figures: Mapping[str, Any]) -> Iterable[Metric]:
        stats = self._stats
        yield _summary("latency_seconds", "from a frame's arrival to the last send of its tick", {(): stats.latency})
        yield _summary("pipeline_seconds", "of a tick's stages, without its sends", {(): stats.pipeline})
        partners = {(name,): recent for name, recent in list(stats.actors.items()) if name in figures["partners"]}
        yield _summary("model_seconds", "of a partner's stages, the model above all", partners, ("partner",))
        yield _gauge("poses_per_second", "ticks that sent poses", {(): figures["fps_out"]})
        for name, about in (
            ("ticks", "frames or deadlines that were danced"),
            ("late", "deadlines without a tick of their own"),
            ("stood_in", "poses that the watchdog sent"),
            ("switches", "presets that took over"),
        ):
            yield _counter(f"{name}_total", about, {(): stats.counts[name]})
        faults = {name: stats.counts[f"{name}_faults"] for name in ("tick", "output", "report", "watchdog")}
        yield _counter("faults_total", "of the show's own parts", {(k,): n for k, n in faults.items()}, ("where",))


def _of_dancers(figures: Mapping[str, Any]) -> Iterable[Metric]:
    label, dancers = ("dancer",), figures["dancers"]
    counts = {(name,): dancer["counts"] for name, dancer in dancers.items()}
    frames = {name: each.get("frames", 0) for name, each in counts.items()}
    ages = {(name,): dancer["age_ms"] for name, dancer in dancers.items() if dancer["age_ms"] is not None}
    rates = {(name,): fps for name, fps in figures["fps_in"].items()}
    live = {(name,): dancer["state"] == "live" for name, dancer in dancers.items()}
    yield _counter("frames_in_total", "whole frames of a dancer", frames, label)
    yield _gauge("dancer_frames_per_second", "of the last two seconds", rates, label)
    yield _gauge("dancer_age_seconds", "of a dancer's newest frame", {k: ms / 1e3 for k, ms in ages.items()}, label)
    yield _gauge("dancer_live", "1 while a dancer's frames come", live, label)
    yield _counts("dancer_events", "what a dancer's packets and frames came to", label, counts)


def _of_partners(partners: Mapping[str, Any]) -> Iterable[Metric]:
    label = ("partner",)
    rungs = {(name,): RUNGS.index(each["ladder"]["rung"]) for name, each in partners.items() if each["ladder"]}
    yield _gauge("ladder_step", "; ".join(f"{step} {rung}" for step, rung in enumerate(RUNGS)), rungs, label)
    yield _counter("partner_faults_total", "of stages", {(n,): each["faults"] for n, each in partners.items()}, label)
    counts = {(name,): each["counts"] for name, each in partners.items()}
    yield _counts("partner_events", "what a partner's stages have counted", label, counts)


Labelled = Mapping[Any, float]  # by the values of labels


def _gauge(name: str, about: str, values: Labelled, labels: tuple[str, ...] = ()) -> Metric:
    family = GaugeMetricFamily(f"{_NAME}_{name}", about, labels=labels)
    for label, value in values.items():
        family.add_metric(label, float(value))
    return family


def _counter(name: str, about: str, values: Labelled, labels: tuple[str, ...] = ()) -> Metric:
    family = CounterMetricFamily(f"{_NAME}_{name}", about, labels=labels)
    for label, value in values.items():
        family.add_metric(label, float(value))
    return family


def _counts(name: str, about: str, labels: tuple[str, ...], counts: Mapping[Any, Mapping[str, float]]) -> Metric:
    """Counters by what happened."""
    values = {(*label, event): number for label, each in counts.items() for event, number in each.items()}
    return _counter(f"{name}_total", about, values, (*labels, "event"))


def _summary(name: str, about: str, times: Mapping[Any, Recent], labels: tuple[str, ...] = ()) -> Metric:
    """Quantiles of the last ones; sum and number of all."""
    family = SummaryMetricFamily(f"{_NAME}_{name}", about, labels=labels)
    for label, recent in times.items():
        family.add_metric(label, recent.count, recent.total)
        for quantile in QUANTILES if recent.count else ():
            value = recent.percentile(100.0 * quantile) or 0.0
            told = dict(zip(labels, label, strict=True)) | {"quantile": str(quantile)}
            family.add_sample(f"{_NAME}_{name}", told, value)
    return family

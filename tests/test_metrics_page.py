"""`/metrics`, read by Prometheus' own parser from a show that runs."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from motion.skeleton import HUMANOID
from server import preset as presets
from server.app import Show
from server.protocols.frames import PoseFrame
from server.stages.ladder import RUNGS
from server.stats import Recent, Stats

ROOT = Path(__file__).resolve().parents[1]
STEP = "pas_de_deux_ladder_step", (("partner", "partner1"),)


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Show]:
    partner = {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_duet.onnx")}
    path = tmp_path / "show.yaml"
    data = {
        "format": 1,
        "dancers": {"dancer1": {"receive": "vmc", "port": 0}},
        "partners": {"partner1": partner},
        "outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}],
        "control": {"port": 0, "oscquery": 0},
        "stage_page": "off",
    }
    path.write_text(yaml.safe_dump(data))
    with closing(Show(presets.load(path), path)) as show:
        yield show


def fetched(show: Show) -> tuple[str, str]:
    """What the page is, and what it says."""
    assert show.steering is not None
    assert show.steering.query is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{show.steering.query.port}/metrics", timeout=5) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def danced(show: Show, frames: int) -> None:
    pose = HUMANOID.offsets[0], np.tile([0.0, 0.0, 0.0, 1.0], (len(HUMANOID), 1))
    for number in range(frames):
        now = show.tick.clock.now()
        show.tick.arrive("dancer1", PoseFrame(HUMANOID, *pose, None, now, number, "dancer1"))


def test_a_running_shows_page_is_what_prometheus_reads(show: Show) -> None:
    show.start()
    danced(show, 20)
    kind, text = fetched(show)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    told = samples(text)
    dancer = (("dancer", "dancer1"),)
    assert told["pas_de_deux_frames_in_total", dancer] == 20.0
    assert told["pas_de_deux_ticks_total", ()] >= 20.0
    assert show.report.newest is not None
    assert told[STEP] == RUNGS.index(show.report.newest["partners"]["partner1"]["ladder"]["rung"])
    assert told["pas_de_deux_latency_seconds_count", ()] == 20.0
    assert 0.0 < told["pas_de_deux_latency_seconds", (("quantile", "0.5"),)] < 10.0
    assert told["pas_de_deux_model_seconds_count", (("partner", "partner1"),)] >= 20.0
    assert told["pas_de_deux_faults_total", (("where", "tick"),)] == 0.0


def test_every_family_has_a_help_line_and_the_shows_own_name_or_the_process(show: Show) -> None:
    families = list(text_string_to_metric_families(show.metrics()[1].decode()))
    assert len(families) > 20
    for family in families:
        assert family.name.startswith(("pas_de_deux_", "process_"))
        assert family.documentation
        assert family.type in ("counter", "gauge", "summary")


def test_a_forced_step_of_the_ladder_is_seen(show: Show) -> None:
    danced(show, 2)
    ladder = show.tick.pipeline.partners["partner1"].ladder
    assert ladder is not None
    assert ladder.tell("still")
    danced(show, 2)
    assert samples(show.metrics()[1].decode())[STEP] == RUNGS.index("still")


def test_the_tree_of_oscquery_is_still_there(show: Show) -> None:
    show.start()
    assert show.steering is not None
    assert show.steering.query is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{show.steering.query.port}/", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert json.load(answer)["FULL_PATH"] == "/"


def test_a_ring_forgets_what_it_counts() -> None:
    recent = Recent(4)
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        recent.add(value)
    assert (recent.count, recent.total) == (6, 21.0)
    assert recent.percentile(0) == 3.0


def test_actors_times_are_their_own() -> None:
    stats: Any = Stats()
    stats.spent("partner1", 0.5)
    stats.spent("partner2", 0.25)
    assert {name: recent.total for name, recent in stats.actors.items()} == {"partner1": 0.5, "partner2": 0.25}

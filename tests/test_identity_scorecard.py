"""The scorecard of who and what: which takes teach, which count, which cells are unseen, and what is refused."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import torch

from made_up_takes import made_up_clip
from motion.bvh import write_bvh
from motion.skeleton import HUMANOID
from training import checkpoint, scorecard
from training.models import identity_action, identity_action_config, identity_takes
from training.models.identity_takes import Names
from training.scorecards.identity_action import KEYS, cast

NAMES = "{action}_{identity}_*.bvh"
MODEL = {"window": 16, "rollout": 4, "experts": 2, "latent": 3, "dynamics": 3, "hidden": 16, "rnn": 8, "rnn_layers": 1}


@dataclass(frozen=True)
class Take:
    """As much of a take as parts are given by."""

    name: str
    cell: tuple[str, str]

    @property
    def cells(self) -> list[tuple[str, str]]:
        return [self.cell]

    def files(self) -> list[dict[str, str]]:
        return [{"take": self.name, "sha256": f"hash of {self.name}"}]


def _takes(each: int = 3) -> list[Take]:
    cells = [(who, what) for who in ("a", "b") for what in ("hop", "run")]
    return [Take(f"{what}_{who}_{number}.bvh", (who, what)) for who, what in cells for number in range(each)]


def _hashes(*names: str) -> set[str]:
    return {f"hash of {name}" for name in names}


SEEN = [take for take in _takes() if "_0" in take.name or "_1" in take.name]


def test_takes_that_a_model_has_not_seen_count() -> None:
    parts = cast(_takes(), _hashes(*(take.name for take in SEEN)), ())
    assert parts.taught == parts.seen == SEEN
    assert {take.name[-5] for take in parts.judged} == {"2"}
    assert parts.unseen(Names.of(parts.taught)) == []


def test_an_unseen_cell_teaches_the_judge_and_not_the_model() -> None:
    known = [take for take in SEEN if take.cell != ("b", "run")]
    parts = cast(_takes(), _hashes(*(take.name for take in known)), ("*_2.bvh",))
    assert parts.seen == known
    assert parts.taught == SEEN
    assert parts.unseen(Names.of(parts.taught)) == [(1, 1)]
    assert ("b", "run") in [take.cell for take in parts.judged]


def test_half_of_an_unseen_cell_teaches_the_judge_where_no_pattern_says_which() -> None:
    known = [take for take in SEEN if take.cell != ("b", "run")]
    parts = cast(_takes(4), _hashes(*(take.name for take in known)), ())
    assert [take.name for take in parts.taught if take not in known] == ["run_b_0.bvh", "run_b_1.bvh"]
    assert parts.unseen(Names.of(parts.taught)) == [(1, 1)]


@pytest.mark.parametrize(
    ("known", "said"),
    [((), "was trained on none of these"), (_takes(), "EVERY TAKE IS SEEN: these figures prove nothing")],
)
def test_where_no_take_is_left_the_last_of_every_cell_counts_and_it_is_said(known: list[Take], said: str) -> None:
    parts = cast(_takes(), _hashes(*(take.name for take in known)), ())
    assert len(parts.judged) == 4
    assert len(parts.taught) == 8
    assert said in parts.about[0]


def test_who_could_not_be_taught_is_left_out_by_name() -> None:
    takes = [*_takes(), Take("run_c_2.bvh", ("c", "run"))]
    parts = cast(takes, _hashes(*(take.name for take in SEEN)), ())
    assert takes[-1] not in parts.judged
    assert any("run_c_2.bvh" in line for line in parts.about)


def test_takes_of_which_none_can_be_judged_are_refused() -> None:
    with pytest.raises(ValueError, match="4 takes teach the judges and none is left to be judged"):
        cast(_takes(1), _hashes(), ())
    only = [take for take in _takes() if take.cell[0] == "a"]
    with pytest.raises(ValueError, match="are of a and hop, run: it takes two of both"):
        cast(only, _hashes(), ())


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people who run or hop, three takes of each."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, take in enumerate(_takes()):
        write_bvh(folder / take.name, made_up_clip(1.5, 30.0, shift=0.3 * number))
    return folder


def _untrained(path: Path, recordings: Path, known: list[Take]) -> Path:
    """A checkpoint of a model that claims to have been trained on takes."""
    config = identity_action_config.Config(identities=("a", "b"), actions=("hop", "run"), **MODEL)
    torch.manual_seed(0)
    model = identity_action.IdentityAction(config, HUMANOID)
    data = identity_takes.Config(names=(NAMES,), drop_first=0, scale=1.0, test_files=("*_2.bvh",))
    takes = [
        {"take": take.name, "sha256": hashlib.sha256((recordings / take.name).read_bytes()).hexdigest()}
        for take in known
    ]
    about = {"takes": takes, "data": asdict(data)}
    torch.save({**checkpoint.describe("identity_action", model), "about": about}, path)
    return path


def _scorecard(model: Path, recordings: Path, *more: str) -> int:
    takes = [str(path) for path in sorted(recordings.glob("*.bvh"))]
    return scorecard.main(
        ["identity_action", str(model), "--takes", *takes, "--seeds", "1", "--judge-steps", "10", *more]
    )


def test_the_command_writes_every_figure_of_a_model_of_motion(recordings: Path, tmp_path: Path) -> None:
    known = [take for take in SEEN if take.cell != ("b", "run")]
    model = _untrained(tmp_path / "model.ckpt", recordings, known)
    assert _scorecard(model, recordings, "--json", str(tmp_path / "figures.json")) == 0
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written.keys() == {"model", "copy_source", "copy_donor", "mean_shift"}
    row = written["model"]
    assert [key for key in KEYS if row[key] is None] == ["pendulum_period_error_percent"]
    assert row["reconstruction_mm"] > 0.0
    assert row["chance_identity"] == row["chance_action"] == 0.5


def test_takes_of_ones_own_are_told_by_patterns_or_refused(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model = _untrained(tmp_path / "model.ckpt", recordings, [])
    assert _scorecard(model, recordings, "--names", "{identity}-{action}.bvh") == 1
    assert "nothing says who moves in hop_a_0.bvh" in capsys.readouterr().err
    assert _scorecard(model, recordings, "--names", NAMES) == 0
    assert "the model was trained on 0 of all 12" in capsys.readouterr().out


def test_other_checkpoints_are_refused(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = _untrained(tmp_path / "model.ckpt", recordings, SEEN)
    stored = torch.load(model, weights_only=True)
    torch.save({**stored, "kind": "duet"}, model)
    assert _scorecard(model, recordings) == 1
    assert "is a checkpoint of 'duet', not of 'identity_action' or" in capsys.readouterr().err
    torch.save(stored, model)
    assert scorecard.main(["identity_action", str(model)]) == 1
    assert "--takes must name recordings" in capsys.readouterr().err

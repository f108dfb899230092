"""duet_match without its recordings: networks that learned the database play like it, from a file that holds no row."""

import dataclasses
from pathlib import Path

import pytest
import torch

from exporters import onnx
from exporters.graphs import graph_of
from made_up_takes import made_up_pair
from motion.skeleton import HUMANOID
from training.match.fit import fit
from training.match.learned_fit import learn
from training.match.learned_player import LearnedPlayer
from training.models.duet_match import Config, DuetMatch

CONFIG = Config(
    centres=60,
    intention_centres=50,
    placement_dims=(12, 8),
    intention_dims=(12,),
    networks=1,
    axes=24,
    learned=True,
    learned_code=24,
    learned_width=48,
    learned_places=24,
)


@pytest.fixture(scope="module")
def taught() -> DuetMatch:
    """The database is still there, to compare with."""
    model = fit(DuetMatch(CONFIG, HUMANOID), [made_up_pair()], True, True, seed=0, epochs=2)
    learn(model, 120, seed=0)
    return model


@pytest.fixture(scope="module")
def rows(taught: DuetMatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes that the projector finds for the database's own rows, and those rows' features."""
    doors = taught.table[taught.doors.long()]
    with torch.no_grad():
        return taught.learned.projector(doors)[:, 1], doors


def _found(taught: DuetMatch, codes: torch.Tensor) -> torch.Tensor:
    """The features of the rows that codes (N, C) stand for."""
    player = LearnedPlayer(taught)
    return player._parts(player.row(codes))["found"]


@torch.no_grad()
def test_the_projector_finds_what_was_asked_for(taught: DuetMatch, rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    codes, asked = rows
    found = _found(taught, codes)
    at_random = (asked - asked[torch.randperm(len(asked))]).square().sum(1).mean()
    assert (found - asked).square().sum(1).mean() < 0.2 * at_random


@torch.no_grad()
def test_the_stepper_goes_on_as_the_take_does(taught: DuetMatch, rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    doors = taught.doors.long()
    later = doors + 8 < taught.ends[doors]
    code, asked = (row[later] for row in rows)
    then = taught.table[doors[later] + 8]
    stood = (asked - then).square().sum(1).mean()
    for _ in range(8):
        code = taught.learned.stepper(code)
    assert (_found(taught, code) - then).square().sum(1).mean() < 0.5 * stood


@torch.no_grad()
def test_what_is_found_goes_on_without_a_corner(taught: DuetMatch, rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    before, now, after, later = taught.learned.projector(rows[1]).unbind(1)
    torch.testing.assert_close(after, taught.learned.stepper(now))
    torch.testing.assert_close(later, taught.learned.stepper(after))
    torch.testing.assert_close(now - before, 2.0 * (after - now) - (later - after))


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 3])
def test_the_learned_player_goes_as_far_at_any_live_rate(taught: DuetMatch, rows: int) -> None:
    """Between rows it goes on a curve, so that steps of a quarter row get where one step of 1 or 3 rows does."""
    player = LearnedPlayer(taught).eval()
    knots = taught.learned.projector(taught.table[taught.doors.long()[:5]]).flatten(1)
    kept = torch.cat([torch.zeros(5, 2), knots], dim=1)
    quarter = torch.full((5, 1), 0.25 / 30)
    whole, at_whole, *_ = player._onward(kept, 4 * rows * quarter)
    for _ in range(4 * rows):
        flat, at, *_ = player._onward(kept, quarter)
        kept = at[:, : player.memory]
    torch.testing.assert_close(flat, whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(at, at_whole, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_what_is_kept_holds_no_row_and_still_plays(taught: DuetMatch, tmp_path: Path) -> None:
    model = DuetMatch(CONFIG, HUMANOID)
    model.load_state_dict({**taught.state_dict(), **dict.fromkeys(("poses", "ends", "table", "doors"), torch.zeros(0))})
    count = len(taught.table)
    assert all(count not in tensor.shape for tensor in model.state_dict().values())
    step = graph_of("duet_match", model)
    assert isinstance(step, LearnedPlayer)
    assert not step.contains_recordings
    assert onnx.write(step, step.label("made up"), tmp_path / "made_up.onnx").exists()  # both runtimes agree


@torch.no_grad()
def test_a_code_is_not_stepped_for_ever(taught: DuetMatch) -> None:
    player = LearnedPlayer(taught).eval()
    player.config = dataclasses.replace(CONFIG, learned_gain=0.0)  # nothing else makes it jump
    dancer = torch.tensor(made_up_pair().lead.given[::4], dtype=torch.float32).flatten(1)
    inputs, states = player.ports()
    state = [torch.zeros(1, *shape) for shape in states.values()]
    ages = []
    for frame in dancer:
        still = [torch.zeros(1, *inputs[name]) for name in ("noise", "variety", "distance", "lead")]
        _, *state = player(frame[None], torch.full((1, 1), 1 / 30), *still, *state)
        ages.append(float(dict(zip(states, state, strict=True))["state_clip"][0, 0]))
    assert max(ages) <= 30 * CONFIG.learned_seconds + 1.5
    assert len(ages) > 60
    assert sum(age == 0.0 for age in ages[10:]) >= 1


def test_a_model_that_forgets_keeps_no_rows(taught: DuetMatch) -> None:
    model = DuetMatch(CONFIG, HUMANOID)
    model.load_state_dict(taught.state_dict())
    model.forget()
    assert all(len(getattr(model, name)) == 0 for name in ("poses", "ends", "table", "doors"))


def test_the_learned_version_is_under_eight_megabytes() -> None:
    model = DuetMatch(Config(learned=True), HUMANOID)
    assert 4 * sum(tensor.numel() for tensor in model.state_dict().values()) < 7.8e6  # the graph itself: 0.2 MB

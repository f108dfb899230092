"""A model that truly knows who from what is told from one that copies: on made-up films of a bar that moves."""

import math

import pytest
import torch
from torch import Tensor

from training import identity_figures as figures_of
from training.identity_figures import Real, Trials, figures, probe, trials
from training.identity_judge import Judge, taught
from training.models.identity_takes import Names
from training.models.identity_windows import Sequences

NAMES = Names(("blue", "green", "red"), ("across", "down"))
FRAMES, SIZE = 12, 16


def _film(who: int, what: int, begin: float) -> Tensor:
    """A bar (T, 3, S, S) in the colour of who it is that swings as is done."""
    places = torch.arange(SIZE).float()
    middle = SIZE / 2 + 5.0 * torch.sin(0.6 * torch.arange(FRAMES) + begin)
    bar = (1.0 - (places[None] - middle[:, None]).abs() / 2.0).clamp(min=0.0)  # (T, S)
    film = bar[:, None, :].expand(-1, SIZE, -1) if what == 0 else bar[:, :, None].expand(-1, -1, SIZE)
    return film[:, None] * torch.eye(3)[who][:, None, None]


class Knows:
    """What the films are made of, read back."""

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = (x.mean(dim=(1, 2, side)).std(dim=1) for side in (3, 4))
        return x.mean(dim=(1, 3, 4)).argmax(dim=1), (columns > rows).long()

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        who, what = self._read(x)
        return torch.eye(3)[who], torch.eye(2)[what]

    def reconstruct(self, x: Tensor) -> Tensor:
        return x

    def swap(self, content: Tensor, identity_from: Tensor, frame_by_frame: bool = False) -> Tensor:
        who, _ = self._read(identity_from)
        return content.sum(dim=2, keepdim=True) * torch.eye(3)[who][:, None, :, None, None]

    def sample(self, count: int, length: int, random: torch.Generator) -> Tensor:
        drawn = [torch.randint(end, (count,), generator=random).tolist() for end in (3, 2)]
        return torch.stack([_film(who, what, 0.1 * n) for n, (who, what) in enumerate(zip(*drawn, strict=True))])


class Copies(Knows):
    """Gives back what it is given, whoever it is to be, and makes up only one thing."""

    def swap(self, content: Tensor, identity_from: Tensor, frame_by_frame: bool = False) -> Tensor:
        return content

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (both := torch.cat(super().codes(x), dim=1)), both

    def sample(self, count: int, length: int, random: torch.Generator) -> Tensor:
        return _film(0, 0, 0.0).expand(count, -1, -1, -1, -1)


def _windows(shift: float) -> Sequences:
    cells = [(who, what) for who in NAMES.identities for what in NAMES.actions for _ in range(4)]
    films = [
        _film(NAMES.identities.index(who), NAMES.actions.index(what), shift + n) for n, (who, what) in enumerate(cells)
    ]
    return Sequences(films, [str(n) for n in range(len(films))], cells, NAMES, FRAMES)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return taught(_windows(0.0), NAMES, steps=110)


def _rows(model: Knows, judge: Judge) -> dict:
    seen, other = (Real.of(_windows(shift), 4) for shift in (0.0, 0.5))
    return figures(model, judge, seen, other, [(0, 1), (2, 0)], seed=0)


def test_who_knows_swaps_right_and_leaks_nothing(judge: Judge) -> None:
    row = _rows(Knows(), judge)["model"]
    assert min(row["acc_real_identity"], row["acc_real_action"]) > 0.9
    assert min(row["swap_identity"], row["swap_action"]) > 0.9
    assert row["leak_action_from_s"] == row["chance_action"] == 0.5
    assert row["leak_identity_from_d"] == pytest.approx(row["chance_identity"], abs=1e-6)
    assert row["leak_identity_from_s"] == row["leak_action_from_d"] == 1.0
    assert row["inter_entropy_share"] > 0.9


def test_who_copies_is_found_out(judge: Judge) -> None:
    rows = _rows(Copies(), judge)
    row = rows["model"]
    assert row["swap_identity"] == row["copy_source_identity"] == rows["copy_source"]["swap_identity"] < 0.1
    assert row["copy_donor_action"] < 0.1 < row["copy_donor_identity"]
    assert row["leak_action_from_s"] == row["leak_identity_from_d"] == 1.0
    assert row["inter_entropy_share"] < 0.5
    assert row["inter_entropy_share"] == min(row["inter_entropy_identity_share"], row["inter_entropy_action_share"])


class OnlySequences(Knows):
    """Knows whose each sequence is to be, and nothing of single frames."""

    def swap(self, content: Tensor, identity_from: Tensor, frame_by_frame: bool = False) -> Tensor:
        return content if frame_by_frame else super().swap(content, identity_from)


def test_a_swap_frame_by_frame_has_figures_of_its_own(judge: Judge) -> None:
    row = _rows(OnlySequences(), judge)["model"]
    assert row["swap_frames_identity"] < 0.1 < 0.9 < row["swap_identity"]
    assert min(row["swap_frames_action"], row["swap_action"]) > 0.9


def test_pictures_have_errors_in_pixels_and_none_in_millimetres(judge: Judge) -> None:
    row = _rows(Knows(), judge)["model"]
    assert row["reconstruction_pixel"] == 0.0
    assert math.isnan(row["reconstruction_mm"])
    assert row["consistent_identity"] == 1.0


def test_neither_window_of_a_swap_is_the_answer() -> None:
    real = Real.of(_windows(0.0), 4)
    made = trials(real, [(0, 1), (2, 0)], 10, torch.Generator().manual_seed(0))
    assert (real.identity[made.donor] == made.who).all()
    assert (real.action[made.content] == made.what).all()
    assert not (real.identity[made.content] == made.who).any()
    assert not (real.action[made.donor] == made.what).any()


def test_a_cell_that_nobody_can_be_swapped_into_has_no_trials() -> None:
    real = Real.of(_windows(0.0), 1)
    only = Real(*(getattr(real, name)[real.identity == 0] for name in ("x", "identity", "action", "file")))
    assert isinstance(made := trials(only, [(0, 1), (1, 0)], 5, torch.Generator()), Trials)
    assert len(made) == 0
    assert math.isnan(figures_of._recognised(None, None, made, "swap")["swap_identity"])


def test_a_probe_of_noise_is_right_by_chance() -> None:
    random = torch.Generator().manual_seed(1)
    given, asked = (torch.randn(400, 3, generator=random) for _ in range(2))
    labels = torch.arange(400) % 4
    assert probe(given, labels, asked, labels, 4) == pytest.approx(0.25, abs=0.08)  # 400 drawn: deviation 0.02

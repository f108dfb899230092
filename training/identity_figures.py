"""How well a model tells who from what: swaps that a judge recognises, codes that leak, and what the prior makes up.

The model is asked by training.models.identity_protocol, whatever its frames are; training.identity_judge answers for
recordings. Shares are from 0 to 1, entropies in nats; what cannot be had is NaN. See docs/identity_action.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, nan

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion.metrics import distributions
from training.identity_judge import Judge, Said, joined
from training.labels import NONE
from training.models import identity_pose as pose
from training.models.identity_protocol import Disentangled
from training.models.identity_windows import Sequences

Row = dict[str, float]
TRIALS, DRAWN = 24, 300  # swaps of every cell; sequences from the prior
BATCH = 32
PROBE_DECAY, PROBE_STEPS = 1e-3, 60


@dataclass(frozen=True)
class Real:
    """Windows of recordings: x (N, T, ...); identity, action and file (N,) by number."""

    x: Tensor
    identity: Tensor
    action: Tensor
    file: Tensor

    @classmethod
    def of(cls, windows: Sequences, each: int) -> Real:
        """At most `each` of every cell."""
        numbers = windows.even(each)
        batch = windows.gather(numbers)
        files = [windows.origin(int(number))[0] for number in numbers]
        order = sorted(set(files))
        return cls(batch["x"], batch["identity"], batch["action"], torch.tensor([order.index(file) for file in files]))


@dataclass(frozen=True)
class Trials:
    """Swaps: the windows (N,) whose content is kept and those (N,) whose identity it is to have, and who is to be seen
    doing what.
    """

    content: Tensor
    donor: Tensor
    who: Tensor
    what: Tensor

    def __len__(self) -> int:
        return len(self.who)

    def parts(self, size: int) -> list[Trials]:
        """The same, a few at a time."""
        columns = (each.split(size) for each in (self.content, self.donor, self.who, self.what))
        return [Trials(*part) for part in zip(*columns, strict=True)]


def trials(real: Real, cells: Sequence[tuple[int, int]], each: int, random: torch.Generator) -> Trials:
    """`each` swaps of every cell that can be had: what is done is taken from another identity, who it is from another
    action, so that neither window is the answer.
    """
    parts = []
    for who, what in cells:
        content = torch.nonzero((real.action == what) & (real.identity != who) & (real.identity != NONE))[:, 0]
        donor = torch.nonzero((real.identity == who) & (real.action != what) & (real.action != NONE))[:, 0]
        if len(content) and len(donor):
            chosen = [of[torch.randint(len(of), (each,), generator=random)] for of in (content, donor)]
            parts.append((*chosen, torch.full((each,), who), torch.full((each,), what)))
    if not parts:
        return Trials(*(torch.empty(0, dtype=torch.long) for _ in range(4)))
    return Trials(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def figures(
    model: Disentangled, judge: Judge, taught: Real, real: Real, unseen: Sequence[tuple[int, int]], seed: int
) -> dict[str, Row]:
    """Rows of the model and of what does without one. taught: windows that the model was trained on; real: others.
    unseen: cells that it never saw; where there are none, swaps are of cells that it saw.
    """
    random = torch.Generator().manual_seed(seed)
    seen = sorted({*zip(taught.identity.tolist(), taught.action.tolist(), strict=True)} - {*unseen})
    said = judge.judge(real.x)
    row = {
        "acc_real_identity": _right(said.identity, real.identity),
        "acc_real_action": _right(said.action, real.action),
        "chance_identity": 1.0 / len(judge.config.identities),
        "chance_action": 1.0 / len(judge.config.actions),
    }
    main = trials(real, unseen, TRIALS, random) if unseen else trials(real, seen, TRIALS, random)
    known = trials(real, seen, max(TRIALS // 4, 1), random)
    means = _means(taught)

    def swap(asked: Trials, frame_by_frame: bool = False) -> Tensor:
        return model.swap(real.x[asked.content], real.x[asked.donor], frame_by_frame)

    ways: dict[str, Callable[[Trials], Tensor]] = {
        "model": swap,
        "copy_source": lambda asked: real.x[asked.content],
        "copy_donor": lambda asked: real.x[asked.donor],
        "mean_shift": lambda asked: _shifted(means, real, asked),
    }
    rows = {name: _recognised(judge, way, main, "swap") for name, way in ways.items()}
    row |= rows["model"] | _recognised(judge, ways["model"], known, "seen_swap")
    row |= _recognised(judge, lambda asked: swap(asked, frame_by_frame=True), main, "swap_frames")
    for key in ("identity", "action"):
        row[f"swap_{key}_ratio"] = row[f"swap_{key}"] / row[f"acc_real_{key}"] if row[f"acc_real_{key}"] else nan
        row |= {f"{name}_{key}": rows[name][f"swap_{key}"] for name in ("copy_source", "copy_donor")}
    row |= leaks(model, judge, taught, real)
    row |= reconstruction(model, judge, real, said)
    return rows | {"model": row | drawn(model, judge, real, said, random)}


def leaks(model: Disentangled, judge: Judge, taught: Real, real: Real) -> Row:
    """How well linear probes, fitted to codes of windows trained on, tell who and what from s and from d of others."""
    before, after = (_batched_codes(model, each.x) for each in (taught, real))
    row = {}
    for name, count in (("identity", len(judge.config.identities)), ("action", len(judge.config.actions))):
        labels, truth = getattr(taught, name), getattr(real, name)
        for code, given, asked in zip(("s", "d"), before, after, strict=True):
            row[f"leak_{name}_from_{code}"] = probe(given, labels, asked, truth, count)
    return row


def probe(given: Tensor, labels: Tensor, asked: Tensor, truth: Tensor, count: int) -> float:
    """The mean recall of a multinomial logistic regression fitted to codes given (N, D), asked of others (M, D)."""
    mean, spread = given.mean(dim=0), given.std(dim=0) + 1e-6
    inside, outside = ((each - mean) / spread for each in (given, asked))
    with torch.enable_grad():
        weights = torch.zeros(inside.shape[1] + 1, count, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights], max_iter=PROBE_STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            total = F.cross_entropy(inside @ weights[:-1] + weights[-1], labels, ignore_index=NONE)
            total = total + PROBE_DECAY * weights.square().sum()
            total.backward()
            return total

        optimizer.step(loss)
    return _right(outside @ weights[:-1].detach() + weights[-1].detach(), truth)


def reconstruction(model: Disentangled, judge: Judge, real: Real, said: Said) -> Row:
    """How far joints are from where they were (mm), or pixels (0 to 1), and whether the judge says of what comes back
    what it says of the recording.
    """
    off, parts = [], []
    for x in real.x.split(BATCH):
        made = model.reconstruct(x)
        parts.append(judge.judge(made))
        off.append(
            (pose.positions(made) - pose.positions(x)).norm(dim=-1).flatten(1) if x.ndim == 3 else _pixels(made, x)
        )
    again, error = joined(parts), torch.cat(off).mean().item()
    row = {"reconstruction_mm": nan, "reconstruction_pixel": nan}
    row |= {"reconstruction_mm": 1000.0 * error} if real.x.ndim == 3 else {"reconstruction_pixel": error}
    for name in ("identity", "action"):
        before, after = (getattr(each, name).argmax(dim=1) for each in (said, again))
        row[f"consistent_{name}"] = (before == after).float().mean().item()
    return row


def drawn(model: Disentangled, judge: Judge, real: Real, said: Said, random: torch.Generator) -> Row:
    """Of sequences from the prior: whether there is everybody and everything among them (inter-entropy, high), whether
    each is somebody doing something (intra-entropy, low), and how far they are from recordings.

    inter_entropy is that of identities or of actions, whichever is the smaller share of what there could be.
    """
    length = real.x.shape[1]
    counts = [min(BATCH, DRAWN - begun) for begun in range(0, DRAWN, BATCH)]
    made = joined([judge.judge(model.sample(count, length, random)) for count in counts])
    row: Row = {}
    for name in ("identity", "action"):
        probabilities = getattr(made, name)
        row[f"inter_entropy_{name}"] = _entropy(probabilities.mean(dim=0))
        row[f"intra_entropy_{name}"] = _entropy(probabilities)
        row[f"intra_entropy_{name}_real"] = _entropy(getattr(said, name))
        row[f"inter_entropy_{name}_share"] = row[f"inter_entropy_{name}"] / log(probabilities.shape[1])
    least = min(("identity", "action"), key=lambda name: row[f"inter_entropy_{name}_share"])
    row |= {"inter_entropy": row[f"inter_entropy_{least}"], "inter_entropy_share": row[f"inter_entropy_{least}_share"]}
    known = said.known.double().numpy()
    of_files = [known[(real.file == file).numpy()] for file in real.file.unique()]
    row["fid"] = distributions.fid(known, made.known.double().numpy())
    row["fid_floor"] = distributions.floor(of_files).median
    return row


def _means(taught: Real) -> dict[int, Tensor]:
    """The mean frame of every identity."""
    return {int(who): taught.x[taught.identity == who].mean(dim=(0, 1)) for who in taught.identity.unique()}


def _shifted(means: Mapping[int, Tensor], real: Real, asked: Trials) -> Tensor:
    """Content with the difference of the mean frames of who it is to be and of who it is: no network."""
    before = real.identity[asked.content].tolist()
    shift = [means[new] - means[old] for new, old in zip(asked.who.tolist(), before, strict=True)]
    return real.x[asked.content] + torch.stack(shift)[:, None]


def _recognised(judge: Judge, way: Callable[[Trials], Tensor], asked: Trials, name: str) -> Row:
    """How often the judge sees in what a way makes of trials who and what was asked for."""
    if not len(asked):
        return {f"{name}_identity": nan, f"{name}_action": nan}
    said = joined([judge.judge(way(part)) for part in asked.parts(BATCH)])
    return {
        f"{name}_identity": (said.identity.argmax(dim=1) == asked.who).float().mean().item(),
        f"{name}_action": (said.action.argmax(dim=1) == asked.what).float().mean().item(),
    }


def _pixels(made: Tensor, x: Tensor) -> Tensor:
    return (made - x).abs().flatten(1)


def _right(scores: Tensor, truth: Tensor) -> float:
    """The mean share that is right of each class that is there."""
    right = scores.argmax(dim=1) == truth
    recalls = [right[truth == each].float().mean().item() for each in truth.unique() if each != NONE]
    return float(np.mean(recalls)) if recalls else nan


def _entropy(probabilities: Tensor) -> float:
    """The mean over all rows, in nats."""
    return -(probabilities * probabilities.clamp(min=1e-12).log()).sum(dim=-1).mean().item()


def _batched_codes(model: Disentangled, x: Tensor) -> tuple[Tensor, Tensor]:
    parts = [model.codes(part) for part in x.split(BATCH)]
    return torch.cat([s for s, _ in parts]), torch.cat([d for _, d in parts])

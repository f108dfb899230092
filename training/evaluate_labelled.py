"""What a labelled partner can do, measured on takes that it has not seen and on what it makes up.

Everything about labels is judged by training.evaluate_judge and, where labels are proxies, by the figure that they are
tertiles of. Figures that cannot be had are NaN. Keys are those of a scorecard; see docs/labelled.md.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion.metrics import distributions
from training import labels_proxy
from training.evaluate_judge import Judge
from training.evaluate_stage import on_stage
from training.evaluate_windows import DANCED, Drawn, Real, cut, dance, draw, tiles
from training.labels import NONE
from training.models import labelled_losses as losses
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_takes import FPS

Array = NDArray[np.float64]
Row = dict[str, float]
PAIRS, SAME_PAIRS = 200, 70  # as PirouNet has them: of any labels, and of each label


def figures(model: Labelled, judge: Judge, real: Real, seed: int) -> Row:
    """All figures for one seed."""
    random = torch.Generator().manual_seed(seed)
    drawn = draw(model, random)
    row = reading(model, real) | ceiling(judge, real) | recognised(model, judge, drawn)
    row |= {f"tile_{key}": value for key, value in recognised(model, judge, tiles(model, real, random)).items()}
    row |= spread(judge, real, drawn) | same_z(model, random)
    return row | on_stage(model, real, random)


# ---- what is read of recordings


def reading(model: Labelled, real: Real) -> Row:
    """Of unseen windows: the classifier's accuracy and macro-F1, how much has the commonest label, the divergence, and
    how far joints are from where they were when mu is danced under the labels that the classifier says.
    """
    predicted = classified(model, real.moves)
    mu, logvar = model.encode(real.moves, predicted)
    made, _ = model.generate(mu, predicted)
    seen, truth = pose.positions(made), pose.positions(real.moves)
    off = pose.on_stage(made, seen, FPS) - pose.on_stage(real.moves, truth, FPS)
    row = {
        "kl_nats": losses.divergence(mu, logvar).mean().item(),
        "reconstruction_mm": 1000.0 * (seen - truth).norm(dim=-1).mean().item(),
        "reconstruction_world_mm": 1000.0 * off.norm(dim=-1).mean().item(),
    }
    scores = [_scores(predicted[:, column], real.labels[:, column]) for column in range(real.labels.shape[1])]
    return row | {key: float(np.mean([score[key] for score in scores])) for key in (scores[0] if scores else ())}


@torch.no_grad()
def classified(model: Labelled, moves: Tensor) -> Tensor:
    """The labels' numbers (N, sets) that the model's own classifier says."""
    said = model.classifier(moves, pose.positions(moves))
    return (
        torch.stack([each.argmax(dim=1) for each in said], dim=1) if said else model.choices[:1].expand(len(moves), 0)
    )


def confusion(predicted: Tensor, truth: Tensor, size: int) -> Array:
    """Counts (size, size): a row a true label, a column what was said; without what nobody has labelled."""
    known = truth != NONE
    counts = np.zeros((size, size))
    np.add.at(counts, (truth[known].numpy(), predicted[known].numpy()), 1.0)
    return counts


def _scores(predicted: Tensor, truth: Tensor) -> Row:
    counts = confusion(predicted, truth, int(max(predicted.max(), truth.max())) + 1)
    total, right = max(counts.sum(), 1.0), np.diag(counts)
    commonest = counts.sum(axis=1).max() / total
    f1 = 2.0 * right / np.maximum(counts.sum(axis=0) + counts.sum(axis=1), 1.0)
    return {
        "accuracy_percent": 100.0 * right.sum() / total,
        "macro_f1": 100.0 * float(f1.mean()),
        "majority_f1": 100.0 * 2.0 * commonest / (1.0 + commonest) / len(counts),
        "majority_accuracy_percent": 100.0 * commonest,
    }


def ceiling(judge: Judge, real: Real) -> Row:
    """How often the judge is right about recordings."""
    said, _ = judge.judge(real.moves)
    known = real.labels != NONE
    right = (said == real.labels)[known]
    return {"classifier_ceiling_percent": 100.0 * right.float().mean().item() if len(right) else float("nan")}


# ---- what is made up


def recognised(model: Labelled, judge: Judge, drawn: Drawn) -> Row:
    """How much of what was asked for the judge sees, and how much has its figure in the tertile asked for."""
    if not drawn.labels.numel():
        return {"label_recognised_percent": float("nan"), "requested_tertile_percent": float("nan")}
    said, _ = judge.judge(drawn.moves)
    tertile = [
        labels_proxy.labelled(_figure(name, drawn.moves), model.config.thresholds[name])
        == drawn.labels[:, column].numpy()
        for column, (name, _) in enumerate(model.config.label_sets)
        if name in model.config.thresholds
    ]
    return {
        "label_recognised_percent": 100.0 * (said == drawn.labels).float().mean().item(),
        "requested_tertile_percent": 100.0 * float(np.mean(tertile)) if tertile else float("nan"),
    }


def spread(judge: Judge, real: Real, drawn: Drawn) -> Row:
    """Distances in what the judge knows of windows: of made to real ones (FID), and how far apart made ones are, of any
    labels and of one, over how far apart real ones are.
    """
    known = (real.labels != NONE).all(dim=1)
    if known.sum() < 2:  # of what is held out, nobody has labelled anything
        return dict.fromkeys(("fid", "fid_floor", "diversity_ratio", "multimodality_ratio"), float("nan"))
    (_, truth), (_, made) = judge.judge(real.moves[known]), judge.judge(drawn.moves)
    of_takes = [truth[real.takes[known] == take].numpy().astype(np.float64) for take in real.takes[known].unique()]
    floor = distributions.floor([each for each in of_takes if len(each) > 1])
    apart = _apart(made, drawn.labels), _apart(truth, real.labels[known])
    return {
        "fid": distributions.fid(truth.double().numpy(), made.double().numpy()),
        "fid_floor": floor.median,
        "diversity_ratio": apart[0][0] / apart[1][0],
        "multimodality_ratio": apart[0][1] / apart[1][1],
    }


def _apart(known: Tensor, labels: Tensor, seed: int = 0) -> tuple[float, float]:
    """Mean distance of PAIRS pairs, and of SAME_PAIRS pairs of every combination of labels."""
    random = np.random.default_rng(seed)
    values = known.double().numpy()

    def mean(places: NDArray[np.int64], count: int) -> float:
        if len(places) < 2:
            return float("nan")
        pairs = random.choice(places, (count, 2))
        return float(np.linalg.norm(values[pairs[:, 0]] - values[pairs[:, 1]], axis=1).mean())

    _, which = torch.unique(labels, dim=0, return_inverse=True)
    same = [mean(np.flatnonzero(which.numpy() == each), SAME_PAIRS) for each in range(int(which.max()) + 1)]
    return mean(np.arange(len(values)), 5 * PAIRS), float(np.nanmean(same))


def same_z(model: Labelled, random: torch.Generator, count: int = 200) -> Row:
    """In how many of so many z the labels of a proxy's set, one after another, bring more and more of its figure."""
    orders = []
    for column, (name, of_set) in enumerate(model.config.label_sets):
        if name in model.config.thresholds:
            z = torch.randn(DANCED, count, model.config.latent, generator=random)
            labels = model.choices[torch.randint(len(model.choices), (count,), generator=random)].clone()
            begin, risen = random.get_state(), []
            for label in range(len(of_set)):
                labels[:, column] = label
                random.set_state(begin)  # the same cut of all
                risen.append(_figure(name, cut(dance(model, z, [labels] * DANCED), random)))
            orders.append((np.diff(np.stack(risen), axis=0) > 0.0).all(axis=0).mean())
    return {"same_z_order_percent": 100.0 * float(np.mean(orders)) if orders else float("nan")}


def _figure(name: str, moves: Tensor) -> Array:
    world = pose.on_stage(moves, pose.positions(moves), FPS)
    return labels_proxy.FIGURES[name](world.double().numpy(), FPS)

"""What a labelled partner can do, measured on takes that it has not seen and on what it makes up.

Everything about labels is judged by training.evaluate_judge and, where labels are proxies, by the figure that they are
tertiles of. Figures that cannot be had are NaN. Keys are those of a scorecard; see docs/labelled.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion.metrics import distributions
from motion.skeleton import HUMANOID
from training import labels_proxy
from training.evaluate_judge import Judge
from training.labels import NONE
from training.models import labelled_losses as losses
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_takes import FPS, Labelling, Take

Array = NDArray[np.float64]
Row = dict[str, float]
DRAWN, DANCED = 600, 4  # windows made from the prior, and how many are danced for each
PAIRS, SAME_PAIRS = 200, 70  # as PirouNet has them: of any labels, and of each label
CHANGES, SECONDS_AFTER = 48, 1.0  # changes of a label on stage, and how long after each steps are watched
WATCHED, SEAM, RARE = 8, 4, 0.999  # windows that are watched on stage; frames of their beginning; what is rare
TOES = [HUMANOID.index("LeftToes"), HUMANOID.index("RightToes")]
ENDS = [HUMANOID.index(side + part) for side in ("Left", "Right") for part in ("Hand", "Foot", "Toes")]
TILES = ((0.1, 3, 0.80), (0.2, 3, 0.75), (0.4, 1, 0.75))  # PirouNet's: size, windows more than, share of the label


@dataclass(frozen=True)
class Real:
    """Windows of recordings: moves (N, T, WIDTH), labels (N, sets), and which take (N,) each is of."""

    moves: Tensor
    labels: Tensor
    takes: Tensor

    @classmethod
    def of(cls, takes: Sequence[Take], labelling: Labelling, stride: int) -> Real:
        """Every `stride`th window of takes."""
        moves, labels, places = [], [], []
        for place, take in enumerate(takes):
            for dancer in take.dancers:
                if len(dancer) >= labelling.window:
                    given = pose.moves(dancer.root, dancer.rotations, FPS).unfold(0, labelling.window, stride)
                    moves.append(given.transpose(1, 2))
                    labels.append(torch.from_numpy(labelling.windows(dancer)[::stride]))
                    places.append(torch.full((len(given),), place))
        if not moves:
            raise ValueError(f"no take is as long as a window of {labelling.window} frames")
        return cls(torch.cat(moves), torch.cat(labels), torch.cat(places))


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


@dataclass(frozen=True)
class Drawn:
    """Windows that were made up, moves (N, T, WIDTH), and the labels (N, sets) that were asked for. They are cut out of
    dances without a break, wherever a window of the model happens to begin in them.
    """

    moves: Tensor
    labels: Tensor


def draw(model: Labelled, random: torch.Generator, count: int = DRAWN) -> Drawn:
    """From the prior: z ~ N(0, 1), as many windows of every label, all after a window of any label."""
    labels = model.choices[torch.arange(count) % len(model.choices)]
    before = model.choices[torch.randint(len(model.choices), (count,), generator=random)]
    z = torch.randn(DANCED, count, model.config.latent, generator=random)
    return Drawn(cut(dance(model, z, [before, *[labels] * (DANCED - 1)]), random), labels)


def dance(model: Labelled, z: Tensor, labels: Sequence[Tensor]) -> Tensor:
    """Moves (N, W · T, WIDTH) of a dance without a break, of z (W, N, latent) and labels (N, sets) of each window."""
    moves, state = [], None
    for one, known in zip(z, labels, strict=True):
        moved, state = model.generate(one, known, state)
        moves.append(moved)
    return torch.cat(moves, dim=1)


def cut(moves: Tensor, random: torch.Generator) -> Tensor:
    """A window (N, T, WIDTH) of each dance (N, DANCED · T, WIDTH): it begins somewhere in the last window but one."""
    window = moves.shape[1] // DANCED
    begin = (DANCED - 2) * window + torch.randint(window + 1, (len(moves), 1), generator=random)
    return moves[torch.arange(len(moves))[:, None], begin + torch.arange(window)]


def tiles(model: Labelled, real: Real, random: torch.Generator, each: int = 100) -> Drawn:
    """As PirouNet draws: from tiles of the plane of a label's two largest components in which many recordings of that
    label lie, and few of others. Tiles grow until there are such. What two components do not say of z, which is most
    of it here, is drawn as the label's recordings have it. Only of the first label set.
    """
    made, asked = [], []
    known = (real.labels != NONE).all(dim=1)
    truth = real.labels[known]
    if truth.numel():
        mu, _ = model.encode(real.moves[known], truth)
    for label, tile in enumerate(TILES[: model.config.sizes[0]] if truth.numel() else ()):
        own = mu[truth[:, 0] == label]
        if len(own) < 3:
            continue
        middle = own.mean(dim=0)
        _, _, axes = torch.linalg.svd(own - middle, full_matrices=False)
        axes = axes[:2]
        good, size = _good_tiles((mu - middle) @ axes.T, truth[:, 0] == label, *tile)
        if len(good):
            plane = (
                good[torch.randint(len(good), (each,), generator=random)] + torch.rand(each, 2, generator=random)
            ) * size
            rest = torch.randn(each, mu.shape[1], generator=random) * own.std(dim=0)
            made.append(middle + plane @ axes + rest - rest @ axes.T @ axes)
            labels = model.choices[torch.randint(len(model.choices), (each,), generator=random)].clone()
            labels[:, 0] = label
            asked.append(labels)
    if not made:
        return Drawn(real.moves[:0], real.labels[:0])
    labels = torch.cat(asked)
    return Drawn(model.generate(torch.cat(made), labels)[0], labels)


def _good_tiles(plane: Tensor, own: Tensor, size: float, least: int, share: float) -> tuple[Tensor, float]:
    """The numbers (G, 2) of tiles with more than `least` and a `share` of windows that are a label's `own` (N,), of
    windows on a plane (N, 2); and how large tiles are: as large as they must be for there to be any.
    """
    good, size, far = plane[:0], 0.5 * size, plane.abs().max()
    while not len(good) and size < far:
        size *= 2.0
        found, which = torch.unique(torch.floor(plane / size).long(), dim=0, return_inverse=True)
        every, mine = torch.bincount(which, minlength=len(found)), torch.bincount(which[own], minlength=len(found))
        good = found[(mine > least) & (mine > share * every)]
    return good, size


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


@torch.no_grad()
def on_stage(model: Labelled, real: Real, random: torch.Generator, half_life: float = 0.25) -> Row:
    """What a dance looks like in which labels change as dials on stage do, each to another one: the largest step of a
    joint in the second after a change, over that of recordings, of which one in a thousand is left out, since they have
    glitches; and the acceleration of hands and feet that one in a thousand is above, where windows of the model begin,
    and anywhere else, over that of recordings, and how even it is; and what feet do.
    """
    frames, decoder, sizes = model.config.window, model.decoder, torch.tensor(model.config.sizes)
    old = torch.stack([torch.randint(int(size), (CHANGES,), generator=random) for size in sizes], dim=1)
    other = torch.stack([torch.randint(1, max(int(size), 2), (CHANGES,), generator=random) for size in sizes], dim=1)
    far = (sizes - 1).clamp(min=1)
    dials, wanted = old / far, (old + other) % sizes / far
    at = torch.randint(frames, (CHANGES, 1), generator=random)  # in the second window
    on, state = torch.zeros(CHANGES, decoder.on_size), torch.zeros(CHANGES, decoder.size)
    moves, keep = [], 0.5 ** (1.0 / (FPS * half_life))
    z = torch.randn(WATCHED, CHANGES, model.config.latent, generator=random)
    for step in range(WATCHED * frames):
        dials = torch.where(step - frames >= at, wanted + (dials - wanted) * keep, dials)
        number = torch.full((CHANGES, 1), float(step % frames))
        move, on, state = decoder.step(z[step // frames], model.between(dials.unbind(1)), number, on, state)
        moves.append(move)
    world, recorded = (pose.on_stage(each, pose.positions(each), FPS) for each in (torch.stack(moves, 1), real.moves))
    steps = _steps(world)
    since = torch.arange(steps.shape[1]) - (frames + at)
    watched = steps[(since >= -1) & (since < SECONDS_AFTER * FPS)]
    bends, usual = (_bends(each) for each in (world[:, frames - 2 :], recorded))
    bends = bends[:, : bends.shape[1] // frames * frames].unflatten(1, (-1, frames))
    largest = np.quantile(watched.numpy(), RARE)
    chosen = torch.randint(len(usual), (bends.shape[:2].numel(),), generator=random)
    seam, rest, rare = (np.quantile(each.numpy(), RARE) for each in (bends[:, :, :SEAM], bends[:, :, SEAM:], usual))
    return {
        "label_change_step_ratio": float(largest / np.quantile(_steps(recorded).numpy(), RARE)),
        "seam_acceleration_ratio": float(seam / rare),
        "dance_acceleration_ratio": float(rest / rare),
        "place_acceleration_ratio": _uneven(bends.flatten(0, 1)),
        "recorded_place_acceleration_ratio": _uneven(usual[chosen]),
        **_feet(world[:, frames:]),
        **{f"recorded_{key}": value for key, value in _feet(recorded).items()},
    }


def _steps(world: Tensor) -> Tensor:
    """The largest step of a joint, frame by frame (N, T - 1), in metres."""
    return world.diff(dim=1).norm(dim=-1).amax(dim=-1)


def _uneven(bends: Tensor) -> float:
    """The largest mean acceleration of a place in windows (N, T, 6), over that of all places."""
    places = bends.mean(dim=(0, 2))
    return float(places.max() / places.mean())


def _feet(world: Tensor) -> Row:
    """How fast the lower toes are along the floor, whatever their height, and how high they are, in the middle and in
    99 of a hundred frames.
    """
    toes = world[:, :, TOES]
    lower, which = toes[..., 1].min(dim=2)  # (N, T)
    speeds = toes[..., 0::2].diff(dim=1).norm(dim=-1).gather(2, which[:, 1:, None])
    middle, most = np.quantile(100.0 * lower.numpy(), (0.5, 0.99))
    return {"slide_mps": float(speeds.mean()) * FPS, "lowest_toe_cm": float(middle), "lowest_toe_most_cm": float(most)}


def _bends(world: Tensor) -> Tensor:
    """Accelerations (N, T - 2, 6) of hands and feet, in m/s²: the first is about the second frame."""
    return world[:, :, ENDS].diff(n=2, dim=1).norm(dim=-1) * FPS**2


def _figure(name: str, moves: Tensor) -> Array:
    world = pose.on_stage(moves, pose.positions(moves), FPS)
    return labels_proxy.FIGURES[name](world.double().numpy(), FPS)

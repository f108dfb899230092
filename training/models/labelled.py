"""A partner that dances by labels: the successor of PirouNet (arXiv 2207.12126), a semi-supervised recurrent VAE.

Kingma's M2: an encoder [x, y] → z, a decoder that is fed [z, y] at every step, a classifier q(y|x). Where labels are
known the loss is L(x, y), where not U(x), over all labels there are. A piece has two windows, each with a z of its own,
and the decoder's state goes through: so on stage it can go on for ever. Against a z that says nothing: sums of errors
over scales in metres, β that warms up, free bits. For labels that mean something: what is made from the prior is to
move as what was recorded under its label, joint by joint, and the classifier, held still, is to recognise it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from motion.skeleton import Skeleton
from training.labels import NONE
from training.models import labelled_losses as losses
from training.models import labelled_pose as pose
from training.models.labelled_config import Config
from training.models.labelled_networks import Classifier, Decoder, Encoder, felt
from training.models.labelled_takes import FPS
from training.models.labelled_teacher import Teacher, agreement
from training.models.labelled_windows import SEGMENTS

GOES_ON = 0.8  # of the pieces from the prior go on where others ended: on stage nearly all do
WHOLE, GROUNDED = 12.0, 8.0  # times the weight of other qualities: how much is accelerated, and feet
UNEVEN = 4.0  # times the weight of qualities
CALIBRATIONS, CALIBRATED = 3, 128  # rounds, and windows of each label
SCALES = {"positions": 0.08, "speeds": 1.0, "rotations": 0.4, "carriage": 0.5, "ways": 0.1}


class Labelled(nn.Module):
    """See the module."""

    statistics = 4096

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.classifier = Classifier(config)
        self.scales = nn.Parameter(torch.zeros(len(SCALES)), requires_grad=config.scale == "learned")
        self.register_buffer("choices", losses.combinations(config.sizes))  # (C, sets)
        count = pose.QUALITIES
        for number, size in enumerate(config.sizes):
            self.register_buffer(f"balance_{number}", torch.ones(size))
            self.register_buffer(f"quality_mean_{number}", torch.zeros(size, count))
            self.register_buffer(f"quality_spread_{number}", torch.ones(size, count))
        self.warm = 1.0
        self.teacher = Teacher()
        self.danced: Tensor | None = None  # states in which pieces from the prior ended: they are gone on with

    def start_batch(self, share: float) -> None:
        """Divergence and teacher come to count little by little; share: of the run that has been, with this batch."""
        self.warm = min(share / max(self.config.warm_up, 1e-6), 1.0)

    @property
    def beta(self) -> float:
        """Of the divergence, by now."""
        return self.config.beta * self.warm

    # ---- training

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """In nats a window. Parts: reconstruction (nats), divergence, error (mm), what is labelled and recognised."""
        c, window = self.config, self.config.window
        x, seen = (batch[name].unflatten(1, (SEGMENTS, window)) for name in ("moves", "positions"))
        labels = batch["labels"]
        known, said_of, taught = self._classified(batch, x, seen)
        sums = {"classification": losses.classification(known, said_of, self._balance(), c.smoothing)}
        state = x.new_zeros(len(x), self.decoder.size)
        for segment in range(SEGMENTS):
            said = [each[segment : SEGMENTS * len(x) : SEGMENTS] for each in said_of]
            state, parts = self._window(x[:, segment], seen[:, segment], labels[:, segment], said, state)
            sums = sums | {name: sums.get(name, 0.0) + value / SEGMENTS for name, value in parts.items()}
        total = sums.pop("total") + c.alpha * sums["classification"]
        if taught:
            own = [each[: SEGMENTS * len(x)] for each in said_of]
            sums["agreement"] = agreement(labels.flatten(0, 1), own, taught)
            total = total + self.warm * c.agree * c.alpha * sums["agreement"]
        if c.label_sets and (c.quality_loss or c.recognised_loss):
            sums["quality"], sums["recognised"] = self._from_prior(max(len(x) // 2, 1))
            total = total + c.quality_loss * sums["quality"] + c.recognised_loss * sums["recognised"]
        return total, sums

    def _classified(
        self, batch: dict[str, Tensor], x: Tensor, seen: Tensor
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Labels, and what the classifier says, of all windows (B, SEGMENTS, T, ...), piece by piece, and of those
        that the batch has for their labels; and what the teacher says of the pieces' while there is training.
        """
        labels, x, seen = batch["labels"].flatten(0, 1), x.flatten(0, 1), seen.flatten(0, 1)
        if "known_labels" in batch:
            labels = torch.cat([labels, batch["known_labels"]])
            x, seen = torch.cat([x, batch["known_moves"]]), torch.cat([seen, batch["known_positions"]])
        if not self.config.sizes:
            return labels, [], []
        given = felt(x, seen)
        learns = self.training and self.config.agree > 0.0
        taught = self.teacher.labels(self.classifier, given[: batch["labels"].shape[:2].numel()]) if learns else []
        return labels, self.classifier.judged(given), taught

    def _window(
        self, x: Tensor, seen: Tensor, labels: Tensor, said: list[Tensor], state: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One window of every piece, (B, T, ...), of which the classifier has `said` something, from the decoder's
        state: the state after it, and parts.
        """
        pull = self.config.pull * (labels != NONE).float().mean() if labels.numel() else 0.0
        log_q = [each.detach() + pull * (each - each.detach()) for each in said]  # the same, taught less
        share = losses.shares(labels, log_q, self.choices)  # (B, C)
        rows, chosen = share.detach().gt(0.0).nonzero(as_tuple=True)  # what is labelled is decoded once
        y = self.onehot(self.choices[chosen])
        numbers = self.decoder.basis.read(x)[rows]
        mu, logvar = self.encoder(numbers, self.decoder.plain(numbers, y), y)
        chance = torch.randn(len(x), self.config.latent, device=x.device)[rows]
        made, after = self.decoder(mu + (0.5 * logvar).exp() * chance, y, state[rows])
        error, millimetres = self._error(made, x[rows], seen[rows])
        free = losses.divergence(mu, logvar, self.config.free_bits)
        each = torch.zeros_like(share).index_put((rows, chosen), error + self.beta * free + math.log(len(self.choices)))
        likeliest = share.argmax(dim=1)
        place = torch.zeros_like(share, dtype=torch.long).index_put((rows, chosen), torch.arange(len(rows)).to(rows))
        taken = place.gather(1, likeliest[:, None])[:, 0]
        right = [
            ((each_q.argmax(dim=1) == known).float() * (known != NONE)).sum() / (known != NONE).sum().clamp(min=1)
            for each_q, known in zip(log_q, labels.unbind(1), strict=True)
        ]
        parts = {
            "total": losses.marginal(each, share, labels, log_q).mean(),
            "error": error[taken].mean(),
            "divergence": losses.divergence(mu, logvar)[taken].mean(),
            "millimetres": millimetres[taken].mean(),
        }
        if right:
            parts["right"] = torch.stack(right).mean()
        return after[taken], parts

    def _error(self, made: Tensor, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the log-density (N,) of windows x, without constants, and the joints' mean error in millimetres."""
        positions = pose.positions(made)
        off = {
            "positions": positions - seen,
            "speeds": (positions - seen).diff(dim=1) * FPS,
            "rotations": made[..., : -pose.CARRIAGE] - x[..., : -pose.CARRIAGE],
            "carriage": made[..., 1 - pose.CARRIAGE :] - x[..., 1 - pose.CARRIAGE :],
            "ways": pose.path(made, positions, FPS)[0] - pose.path(x, seen, FPS)[0],
        }
        total = made.new_zeros(len(made))
        for log_scale, (name, usual) in zip(self.scales, SCALES.items(), strict=True):
            squares = (off[name] / (usual * self.config.scale_factor)).square().flatten(1)
            total = total + 0.5 * squares.sum(dim=1) * (-2.0 * log_scale).exp() + squares.shape[1] * log_scale
        return total, 1000.0 * off["positions"].norm(dim=-1).mean(dim=(1, 2)).detach()

    def _from_prior(self, count: int) -> tuple[Tensor, Tensor]:
        """How unlike recorded ones with their labels `count` made-up pieces move, and how badly they are recognised."""
        c, device = self.config, self.choices.device
        labels = [self.choices[torch.randint(len(self.choices), (count,), device=device)] for _ in range(SEGMENTS)]
        stays = torch.rand(count, 1, device=device) < 0.5
        labels[1] = torch.where(stays, labels[0], labels[1])
        z = torch.randn(SEGMENTS, count, c.latent, device=device)
        made, state = [], torch.zeros(count, self.decoder.size, device=device)
        if self.danced is not None and len(self.danced) == count:
            goes_on = torch.rand(count, 1, device=device) < GOES_ON
            state = torch.where(goes_on, self.danced, state)
        for segment in range(SEGMENTS):
            moved, state = self.decoder(z[segment], self.onehot(labels[segment]), state)
            made.append(moved)
        self.danced = state.detach()
        whole, half = torch.cat(made, dim=1), self.config.window // 2
        seam, same = whole[:, half:-half], (labels[0] == labels[1]).all(dim=1)
        x = torch.cat([*made, seam[same]])  # what is danced where two windows meet counts, too
        wanted = torch.cat([*labels, labels[0][same]])
        seen = pose.positions(x)
        moved = pose.qualities(x, pose.on_stage(x, seen, FPS), FPS)
        weights = moved.new_ones(pose.QUALITIES)
        weights[pose.ACCELERATION], weights[pose.FEET_FROM :] = WHOLE, GROUNDED
        unlike = [
            losses.unlike(
                moved, known, *(getattr(self, f"quality_{part}_{number}") for part in ("mean", "spread")), weights
            )
            for number, known in enumerate(wanted.unbind(1))
        ]
        still = {name: value.detach() for name, value in self.classifier.named_parameters()}
        said = functional_call(self.classifier, still, (x, seen))
        missed = [F.nll_loss(log_q, known) for log_q, known in zip(said, wanted.unbind(1), strict=True)]
        uneven = losses.uneven(pose.on_stage(whole, pose.positions(whole), FPS))
        return torch.stack(unlike).mean() + UNEVEN * uneven, torch.stack(missed).mean()

    @torch.no_grad()
    def fit_statistics(self, batch: dict[str, Tensor]) -> None:
        """Scales of what goes in and comes out, and how windows of every label move."""
        window = self.config.window
        x, seen = (batch[name].unflatten(1, (SEGMENTS, window)).flatten(0, 1) for name in ("moves", "positions"))
        labels = batch["labels"].flatten(0, 1)
        self.decoder.basis.fit(x)
        self.classifier.fit(x, seen)
        if "known_labels" in batch:
            own = _first_of_each(batch["known_moves"])
            x, seen = torch.cat([x, batch["known_moves"][own]]), torch.cat([seen, batch["known_positions"][own]])
            labels = torch.cat([labels, batch["known_labels"][own]])
        self.decoder.fit(x, labels, self.config.sizes)
        moved = pose.qualities(x, pose.on_stage(x, seen, FPS), FPS)
        for number, known in enumerate(labels.unbind(1)):
            counts = torch.bincount(known[known != NONE], minlength=self.config.sizes[number]).float()
            getattr(self, f"balance_{number}").copy_((counts.mean() / counts.clamp(min=1.0)).clamp(max=10.0))
            for label in range(len(counts)):
                own = moved[known == label]
                if len(own) > 1:
                    getattr(self, f"quality_mean_{number}")[label] = own.mean(dim=0)
                    getattr(self, f"quality_spread_{number}")[label] = own.std(dim=0).clamp(min=0.05)
        for _ in range(CALIBRATIONS):
            self._calibrate()

    def _calibrate(self) -> None:
        """Scales labels so that what is drawn is accelerated as much as what was recorded under them: independent
        numbers of the right power make more of it, since nobody moves evenly.
        """
        first = 0
        for number, size in enumerate(self.config.sizes):
            for label in range(size):
                others = self.choices[torch.randint(len(self.choices), (CALIBRATED,), device=self.choices.device)]
                others[:, number] = label
                z = torch.randn(CALIBRATED, self.config.latent, device=others.device)
                made = self.decoder(z, self.onehot(others), z.new_zeros(CALIBRATED, self.decoder.size))[0]
                moved = pose.qualities(made, pose.on_stage(made, pose.positions(made), FPS), FPS)[:, pose.ACCELERATION]
                wanted = getattr(self, f"quality_mean_{number}")[label, pose.ACCELERATION]
                self.decoder.scale[first + label] += (wanted - moved.mean()).clamp(-0.5, 0.5)
            first += size

    def _balance(self) -> list[Tensor]:
        return [getattr(self, f"balance_{number}") for number in range(len(self.config.sizes))]

    # ---- use

    def onehot(self, labels: Tensor) -> Tensor:
        """Labels (N, sets) as the networks are given them, (N, Y)."""
        parts = [F.one_hot(labels[:, number], size) for number, size in enumerate(self.config.sizes)]
        return torch.cat(parts, dim=1).float() if parts else torch.zeros(len(labels), 0, device=labels.device)

    def between(self, dials: Sequence[Tensor]) -> Tensor:
        """The same (N, Y) of dials from 0 to 1, (N,) a set: where one stands between two labels, so much of each."""
        parts = [
            F.relu(1.0 - (dial[:, None] * (size - 1) - torch.arange(size, dtype=dial.dtype)).abs())
            for dial, size in zip(dials, self.config.sizes, strict=True)
        ]
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def encode(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar (N, latent) of windows' moves (N, T, WIDTH) with labels (N, sets)."""
        y = self.onehot(labels)
        numbers = self.decoder.basis.read(x)
        return self.encoder(numbers, self.decoder.plain(numbers, y), y)

    @torch.no_grad()
    def generate(self, z: Tensor, labels: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Moves (N, T, WIDTH) of a window danced as z (N, latent) and labels (N, sets) say, and the state after it."""
        begun = torch.zeros(len(z), self.decoder.size) if state is None else state
        return self.decoder(z, self.onehot(labels), begun)


def _first_of_each(moves: Tensor) -> Tensor:
    """Where windows (N, T, WIDTH) stand that came up no earlier: of few labelled ones there are many of each."""
    _, which = torch.unique(moves[:, 0], dim=0, return_inverse=True)
    order = torch.arange(len(which), device=which.device)
    return order.new_full((int(which.max()) + 1,), len(which)).scatter_reduce(0, which, order, "amin")

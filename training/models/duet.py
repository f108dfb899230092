"""A causal duet partner: from a dancer's last second, where the partner is and how it stands, now and shortly after.

Two small networks look at the dancer in the dancer's own frame (origin under the pelvis, facing = normal of the hip
axis). One places the partner, one poses it, each for `horizons` seconds ahead. The pose also depends on a latent z
(an autoencoder of what the dancer does not explain; the prior is N(0, 1)), so one dancer can have many partners; the
placement does not. Live, plans of the last moments are averaged for now: see exporters/graphs/duet.py.
Pose vectors are relative to the partner's own facing: pelvis height, then 22 rotations in 6-D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from motion.skeleton import Skeleton
from training import dataset, kinematics, loop, losses
from training.layers import GlobalBatchNorm
from training.run import Run
from training.windows import Windows

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Config:
    """Sizes, dropouts and loss weights. Times in seconds; horizons and lags must grow, horizons begin at 0."""

    lags: tuple[float, ...] = (1 / 6, 1 / 3, 1 / 2, 2 / 3, 1.0)
    horizons: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 16 / 30, 20 / 30, 26 / 30)
    marks: tuple[str, ...] = ("Hips", "LeftFoot", "RightFoot", "LeftHand", "RightHand")  # what is remembered
    placement_width: int = 256
    pose_width: int = 256
    code: int = 32  # numbers that stand for a pose
    latent: int = 24
    input_dropout: float = 0.1
    placement_dropout: float = 0.2
    pose_input_dropout: float = 0.2
    pose_dropout: float = 0.1
    input_noise: float = 0.15  # in standardised units
    facing_weight: float = 0.3
    rotation_weight: float = 0.1
    velocity_weight: float = 0.05
    pose_weight: float = 2.0
    feet_weight: float = 0.05
    latent_noise: float = 0.1  # standard deviation; the rest of the latent's unit variance is signal
    mean_share: float = 0.15  # windows trained without a latent, so that zero is the mean partner

    def __post_init__(self) -> None:
        times = (0.0, *self.lags), self.horizons
        if self.horizons[0] != 0.0 or any(b <= a for series in times for a, b in pairwise(series)):
            raise ValueError(f"lags must grow from above 0 and horizons from 0, not {self.lags} and {self.horizons}")
        if self.lags[-1] > 1.0 or self.horizons[-1] < 0.7:
            raise ValueError(
                f"lags may reach 1 s, not {self.lags[-1]}; horizons must reach 0.7 s, not {self.horizons[-1]}"
            )


@dataclass(frozen=True)
class Training(loop.Config):
    """How to train, and on which windows: `stride` frames lie between two of them."""

    stride: int = 4
    fresh_share: float = 0.2  # of the windows show a dancer who has just come on


class Duet(nn.Module):
    """The trained part of the partner. `fit_statistics` must see the training windows once before training."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        sides = [side + part for side in ("Left", "Right") for part in ("UpperLeg", "Foot", "Toes")]
        if missing := [name for name in dict.fromkeys([*sides, *config.marks]) if name not in skeleton.names]:
            raise ValueError(
                f"the skeleton has no {', '.join(missing)}, which duet needs: set data: skeleton: humanoid"
            )
        joints, marks = len(skeleton), len(config.marks) + 1  # the last mark is the nose: one metre ahead of the hips
        features = 3 * (joints + marks * len(config.lags))
        horizons, code, latent = len(config.horizons), config.code, config.latent
        self.left_hip, self.right_hip = skeleton.both_sides("UpperLeg")
        self.feet = skeleton.both_sides("Foot", "Toes")
        self.mark_joints = [skeleton.index(name) for name in config.marks]

        self.placement = _mlp(
            features, config.placement_width, 4 * horizons, config.input_dropout, config.placement_dropout
        )
        self.pose = _mlp(features + latent + 1, config.pose_width, code * horizons, 0.0, config.pose_dropout)
        self.posterior = _mlp(code * horizons, config.pose_width, latent, 0.0, 0.0)
        self.forget = nn.Dropout(config.pose_input_dropout)  # of the dancer's features only, never of the latent
        self.unit = GlobalBatchNorm(latent, affine=False)
        self.decoder = nn.Linear(code, 1 + 6 * joints)

        self.register_buffer("offsets", torch.tensor(skeleton.offsets, dtype=torch.float32))
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_scale", torch.ones(features))
        self.register_buffer("placement_mean", torch.zeros(4 * horizons))
        self.register_buffer("pose_mean", torch.zeros(1 + 6 * joints))
        self.register_buffer("encoder", torch.zeros(1 + 6 * joints, code))  # pose vector -> standardised code

    # What the networks see and say, in the dancer's frame.

    def marks(self, positions: Tensor) -> Tensor:
        """The remembered points of poses (..., J, 3): chosen joints and the nose, world, (..., marks + 1, 3)."""
        left = kinematics.across(positions, self.left_hip, self.right_hip)
        ahead = torch.stack([-left[..., 1], torch.zeros_like(left[..., 0]), left[..., 0]], dim=-1)
        nose = positions[..., :1, :] + ahead[..., None, :]
        return torch.cat([positions[..., self.mark_joints, :], nose], dim=-2)

    def features(self, dancer: Tensor) -> Tensor:
        """dancer (B, 1 + lags, J, 3) world, now first -> (B, F) metres in the dancer's frame, not standardised."""
        now, past = dancer[:, 0], self.marks(dancer[:, 1:])
        points = torch.cat([now, past.flatten(1, 2)], dim=1)  # (B, J + marks·lags, 3)
        origin, turn = self.frame(now)
        return ((points - origin[:, None]) @ turn).flatten(1)

    def frame(self, now: Tensor) -> tuple[Tensor, Tensor]:
        """The dancer's frame for poses (B, J, 3): origin (B, 3) on the floor and turn (B, 3, 3), world -> frame."""
        left = kinematics.across(now, self.left_hip, self.right_hip)
        return now[:, 0] * now.new_tensor([1.0, 0.0, 1.0]), kinematics.heading_matrix(left)

    def standardise(self, features: Tensor) -> Tensor:
        return (features - self.feature_mean) / self.feature_scale

    def place(self, standardised: Tensor) -> Tensor:
        """Placement (B, horizons, 4) = root x, z and the partner's left x, z, in the dancer's frame."""
        flat = self.placement(standardised) + self.placement_mean
        return flat.unflatten(-1, (len(self.config.horizons), 4))

    def codes(self, standardised: Tensor, latent: Tensor, swapped: Tensor) -> Tensor:
        """Pose codes (B, horizons, code). swapped (B, 1) is 1 where the roles were exchanged for augmentation."""
        flat = self.pose(torch.cat([self.forget(standardised), latent, swapped], dim=-1))
        return flat.unflatten(-1, (len(self.config.horizons), self.config.code))

    def decode(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (..., code) -> pelvis height (..., 1) metres and raw 6-D rotations (..., J, 6), facing +Z."""
        vector = self.decoder(codes)
        return vector[..., :1], vector[..., 1:].unflatten(-1, (-1, 6))

    def positions(self, height: Tensor, matrices: Tensor) -> Tensor:
        """Joints (..., J, 3) of a pose facing +Z over the origin."""
        root = torch.cat([torch.zeros_like(height), height, torch.zeros_like(height)], dim=-1)
        return kinematics.global_positions(self.skeleton.parents, self.offsets, root, matrices)

    def on_stage(self, joints: Tensor, placement: Tensor) -> Tensor:
        """Joints (..., K, 3) of poses facing +Z over the origin, at placements (..., 4) in the dancer's frame."""
        turn = kinematics.heading_matrix(nn.functional.normalize(placement[..., 2:], dim=-1))
        x, z = placement[..., 0:1], placement[..., 1:2]
        return joints @ turn.transpose(-1, -2) + torch.cat([x, torch.zeros_like(x), z], dim=-1)[..., None, :]

    # Training.

    def targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the networks should have said: placement (B, horizons, 4) and pose vectors (B, horizons, 1 + 6J)."""
        origin, turn = self.frame(batch["dancer"][:, 0])
        matrices = kinematics.matrices_from_6d(batch["partner_rotations"])  # (B, horizons, J, 3, 3)
        left = nn.functional.normalize(matrices[..., 0, 0::2, 0], dim=-1)  # the hips' x axis is the hip axis
        root = batch["partner_root"]
        flat = torch.stack([left[..., 0], torch.zeros_like(left[..., 0]), left[..., 1]], dim=-1)
        local_root, local_left = (root - origin[:, None]) @ turn, flat @ turn
        placement = torch.cat([local_root[..., 0::2], local_left[..., 0::2]], dim=-1)
        hips = kinematics.heading_matrix(left).transpose(-1, -2) @ matrices[..., 0, :, :]
        matrices = torch.cat([hips[..., None, :, :], matrices[..., 1:, :, :]], dim=-3)
        rotations = kinematics.sixd_from_matrices(matrices).flatten(-2)
        return placement, torch.cat([root[..., 1:2], rotations], dim=-1)

    @torch.no_grad()
    def fit_statistics(self, batch: Batch) -> None:
        """Normalisation and the first pose code (principal components) from many training windows at once."""
        features = self.features(batch["dancer"])
        placement, poses = self.targets(batch)
        self.feature_mean.copy_(features.mean(0))
        self.feature_scale.copy_(features.std(0) + 0.02)
        self.placement_mean.copy_(placement.mean(0).flatten())
        now = poses[:, 0]
        self.pose_mean.copy_(now.mean(0))
        values, vectors = torch.linalg.eigh(torch.cov((now - self.pose_mean).T))
        spread, axes = values[-self.config.code :].clamp(min=1e-6).sqrt(), vectors[:, -self.config.code :]
        self.encoder.copy_(axes / spread)
        self.decoder.weight.copy_(axes * spread)
        self.decoder.bias.copy_(self.pose_mean)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Total and its parts: metres for `root` and `pose`, m/s for `velocity` and `feet`.

        In evaluation mode the partner is the mean one, and `spread` is how far apart two random ones are, metres.
        """
        config = self.config
        placement, poses = self.targets(batch)
        seen = self.standardise(self.features(batch["dancer"]))
        noisy = seen
        if self.training:
            noisy = seen + config.input_noise * torch.randn_like(seen)
        placed = self.place(noisy)
        root = losses.distance(placed[..., :2], placement[..., :2])
        facing = losses.distance(placed[..., 2:], placement[..., 2:])

        true_codes = (poses - self.pose_mean) @ self.encoder  # (B, horizons, code)
        latent = seen.new_zeros(len(seen), config.latent)
        first = 0
        if self.training:
            first = int(torch.randint(len(config.horizons) - 1, ()))
            latent = self.surprise(true_codes - self.codes(noisy, latent, batch["swapped"]))
        codes = self.codes(noisy, latent, batch["swapped"])

        pair = slice(first, first + 2)  # two neighbouring horizons: a pose and how fast it moves
        height, sixd = self.decode(codes[:, pair])
        truth_height, truth_sixd = poses[:, pair, :1], poses[:, pair, 1:].unflatten(-1, (-1, 6))
        joints = self.positions(height, kinematics.matrices_from_6d(sixd))
        truth = self.positions(truth_height, kinematics.matrices_from_6d(truth_sixd))
        pose = losses.distance(joints, truth)
        rotation = losses.distance(sixd, truth_sixd)
        seconds = config.horizons[first + 1] - config.horizons[first]
        velocity = losses.velocity_distance(joints, truth, seconds)
        # Feet over the floor, not under the hips: with the path as placed, standing feet should stand.
        feet = losses.velocity_distance(
            self.on_stage(joints[..., self.feet, :], placed[:, pair].detach()),
            self.on_stage(truth[..., self.feet, :], placement[:, pair]),
            seconds,
        )

        posed = pose + config.rotation_weight * rotation + config.velocity_weight * velocity + config.feet_weight * feet
        total = root + config.facing_weight * facing + config.pose_weight * posed
        parts = {"root": root, "facing": facing, "pose": pose, "rotation": rotation, "velocity": velocity}
        parts["feet"] = feet
        if not self.training:
            parts["spread"] = self.spread(seen, batch["swapped"])
        return total, parts

    def surprise(self, residual: Tensor) -> Tensor:
        """A latent (B, latent) from what the dancer does not explain, codes (B, horizons, code).

        A noisy channel: over many windows each number has mean 0 and variance 1, as the prior has, and the noise bounds
        what it can carry; so nothing needs weighing, and it cannot fall silent (cf. Zhu et al. 2020, BN-VAE).
        """
        config = self.config
        signal = self.unit(self.posterior(residual.detach().flatten(1))) * (1.0 - config.latent_noise**2) ** 0.5
        latent = signal + config.latent_noise * torch.randn_like(signal)
        return latent * (torch.rand(len(latent), 1, device=latent.device) >= config.mean_share)

    def spread(self, standardised: Tensor, swapped: Tensor) -> Tensor:
        """Mean distance of joints between two partners drawn from the prior, metres."""
        poses = []
        for _ in range(2):
            latent = torch.randn(len(standardised), self.config.latent, device=standardised.device)
            height, sixd = self.decode(self.codes(standardised, latent, swapped)[:, 0])
            poses.append(self.positions(height, kinematics.matrices_from_6d(sixd)))
        return losses.distance(*poses)


def windows(run: Run, pairs: Sequence[dataset.Pair], augment: bool) -> Windows:
    """What the model is trained on and, without `augment`, judged on while it trains."""
    past, future = run.model.lags, run.model.horizons
    if not augment:
        return Windows(pairs, past, future, stride=12)
    return Windows(
        pairs,
        past,
        future,
        run.training.stride,
        mirror=run.data.mirror,
        swap_roles=run.data.swap_roles,
        fresh_share=run.training.fresh_share,
    )


def _mlp(inputs: int, width: int, outputs: int, input_dropout: float, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(input_dropout),
        nn.Linear(inputs, width),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(width, width),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(width, outputs),
    )

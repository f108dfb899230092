"""The parts that duet_window and deepfake share: windows as the networks see them, encoder, decoder, KL cycle.

The design is MotionDuet's (Bisig et al.): local joint quaternions in and out, bidirectional LSTMs, a dense layer, a
latent of 32, a cyclic KL weight. Ours, and added:
* poses are seen from the body's carriage (training.models.carriage), and beside the quaternions stand three channels
  of sway. The research sees the hips from the world and pins them to the origin.
* what the encoder is given is standardised, dense layers begin with weights that keep a signal's size and LSTMs with a
  memory. The research trains a million batches and can do without; a few thousand then decode one mean pose.
* the encoder reads all steps (attention or mean); in the research the last step, where half of it has seen one frame.
* for a deepfake, principal components may go past all of that (training.models.principal).
What windows cost is in training.models.window_losses.
Shapes: B windows, T frames, J joints. Quaternions xyzw.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training import joint_weights
from training.layers import GlobalBatchNorm
from training.lstm import LSTM
from training.models import carriage
from training.models.carriage import Carriage
from training.models.principal import Principal, identity
from training.sequences import Batch

READOUTS = ("attention", "mean")
Window = tuple[Tensor, Tensor]  # as networks see them: pose quaternions (B, T, J, 4) and sways (B, T, 3)
SMALLEST_SIGMA = 0.01  # |tanh| + 1e-5 in the research: with no KL weight it settles on the kink, and last bits decide
LITTLE = 0.01  # of what LSTMs say at first where principal components go past them


@dataclass(frozen=True)
class Config:
    """The research's values; sizes of windows in frames.

    hop: frames between two windows when they are played, live and in the results; training.stride is the one between
    windows trained on. fps: of the recordings; training fills it in. joint_weights: by joint name, or a file.
    """

    window: int = 64
    hop: int = 16
    fps: float = 0.0
    latent: int = 32
    layers: int = 2
    size: int = 256
    bidirectional: bool = True
    dense: tuple[int, ...] = (512,)  # from the sequence to the latent; the decoder has them the other way round
    readout: str = "attention"
    norm_loss: float = 0.1
    position_loss: float = 0.1  # a centimetre
    rotation_loss: float = 1.0  # a radian of half the angle
    sway_loss: float = 0.1  # a centimetre; added, see the module
    carriage: float = 0.125  # of the window: how much path and heading are smoothed, a standard deviation
    joint_weights: str | dict = ""
    kl_cycle: int = 100  # epochs
    kl_low_epochs: int = 20  # at the start of a cycle at kl_low, then rising
    kl_high_epochs: int = 20  # at the end of a cycle at kl_high
    kl_low: float = 0.0
    kl_high: float = 0.1

    @property
    def latency(self) -> int:
        """Frames from the dancer's to the answer live: a window waits for its hop, is danced, and is faded in."""
        return max(2 * self.hop, self.hop + 2)

    def __post_init__(self) -> None:
        object.__setattr__(self, "joint_weights", joint_weights.read(self.joint_weights))
        object.__setattr__(self, "dense", tuple(self.dense))
        if self.readout not in READOUTS:
            raise ValueError(f"readout {self.readout!r} is none of {', '.join(READOUTS)}")
        if self.window < 4 or not 1 <= self.hop <= self.window // 2:
            raise ValueError(
                f"a window of {self.window} frames needs a hop of 1..{self.window // 2}, not {self.hop}: they overlap"
            )
        if self.kl_low_epochs + self.kl_high_epochs > self.kl_cycle:
            raise ValueError(
                f"kl_low_epochs {self.kl_low_epochs} and kl_high_epochs {self.kl_high_epochs} do not fit in "
                f"kl_cycle {self.kl_cycle}"
            )
        if not 0.0 < self.carriage <= 1.0:
            raise ValueError(f"carriage must be above 0 and at most 1 window, not {self.carriage}")
        if not self.dense or min(*self.dense, self.latent, self.layers, self.size) < 1:
            raise ValueError("dense, latent, layers and size need numbers above 0")


def kl_weight(config: Config, epoch: int) -> float:
    """The weight of the KL term in an epoch (from 0): flat, rising, flat, and again (Fu et al. 2019)."""
    step = epoch % config.kl_cycle
    rise = config.kl_cycle - config.kl_low_epochs - config.kl_high_epochs
    share = (step - config.kl_low_epochs) / rise if rise else float(step >= config.kl_low_epochs)
    return config.kl_low + (config.kl_high - config.kl_low) * min(max(share, 0.0), 1.0)


# ---- windows as the networks see them


def view(batch: Batch, who: str, config: Config) -> tuple[Window, Carriage]:
    """The windows of "dancer" or "partner" in a batch of training.sequences, seen from their carriage, which is given
    in the world.
    """
    root, rotations = batch[f"{who}_root"], matrices(batch[f"{who}_rotations"][:, :, :1])
    path = carriage.carried(root, rotations[:, :, 0, :, 0], config.carriage * config.window)
    hips, sway = carriage.within(root, rotations, path)
    return (torch.cat([quaternions(hips), batch[f"{who}_rotations"][:, :, 1:]], dim=2), sway), path


def channels(window: Window) -> Tensor:
    """(B, T, 4J + 3): quaternions of one sign, then the sway."""
    return torch.cat([one_sign(window[0]).flatten(2), window[1]], dim=-1)


def one_sign(q: Tensor) -> Tensor:
    """Quaternions (B, T, J, 4) of the same rotations: w >= 0 in the first frame, no jumps of sign after it."""
    flips = ((q[:, 1:] * q[:, :-1]).sum(-1) < 0).to(q)
    first = (q[:, :1, :, 3] < 0).to(q)
    odd = torch.cat([first, flips], dim=1).cumsum(1)
    odd = odd - 2.0 * torch.floor(0.5 * odd)
    return q * (1.0 - 2.0 * odd)[..., None]


def quaternions(matrices: Tensor) -> Tensor:
    """Unit quaternions (..., 4) of (..., 3, 3): the largest row of 4·q⊗q (Shepperd 1978), with no branches."""
    m = matrices
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    diagonal = torch.stack([1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz, 1 + xx + yy + zz], dim=-1)
    rows = torch.stack(
        [
            torch.stack([diagonal[..., 0], xy, xz, wx], dim=-1),
            torch.stack([xy, diagonal[..., 1], yz, wy], dim=-1),
            torch.stack([xz, yz, diagonal[..., 2], wz], dim=-1),
            torch.stack([wx, wy, wz, diagonal[..., 3]], dim=-1),
        ],
        dim=-2,
    )
    largest = diagonal.argmax(-1)[..., None, None].expand(*diagonal.shape[:-1], 1, 4)
    return F.normalize(rows.gather(-2, largest)[..., 0, :], dim=-1)


def matrices(q: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    x, y, z, w = q.unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, dim=-2)


# ---- networks


class Standard(GlobalBatchNorm):
    """Values (B, T, C) in standard units, by running statistics in training too: what is learned fits what is run."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, values: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                super().forward(values.flatten(0, 1))
        return (values - self.running_mean) * (self.running_var + self.eps).rsqrt()


class Encoder(nn.Module):
    """A window (B, T, ...) and the carriage it was seen from -> mu and sigma (B, latent), tanh as in the research.

    straight: the window's principal components go into the latent too.
    """

    def __init__(self, config: Config, joints: int, straight: bool = False) -> None:
        super().__init__()
        given, width = 4 * joints + 7, config.size * (1 + config.bidirectional)
        self.standard = Standard(given)
        self.recurrent = LSTM(given, config.size, config.layers, batch_first=True, bidirectional=config.bidirectional)
        self.attention = nn.Linear(width, 1, bias=False) if config.readout == "attention" else None
        self.dense = _dense([width, *config.dense])
        self.mu = nn.Linear(config.dense[-1], config.latent)
        self.sigma = nn.Linear(config.dense[-1], config.latent)
        nn.init.xavier_normal_(self.mu.weight, LITTLE if straight else 2.0)
        if straight:
            nn.init.zeros_(self.mu.bias)
        self.principal = Principal(config.window, 4 * joints + 3, config.latent) if straight else None
        self.straight = identity(config.latent) if straight else None

    def forward(self, seen: Window, path: Carriage) -> tuple[Tensor, Tensor]:
        window = channels(seen)
        given = torch.cat([window, path.from_middle()], dim=-1)
        steps, _ = self.recurrent(self.standard(given))  # (B, T, width)
        if self.attention is None:
            read = steps.mean(1)
        else:
            read = (torch.softmax(self.attention(steps), dim=1) * steps).sum(1)
        hidden = self.dense(read)
        mu = self.mu(hidden)
        if self.straight is not None:
            mu = mu + self.straight(self.principal.read(window))
        return torch.tanh(mu), (torch.tanh(self.sigma(hidden)).square() + SMALLEST_SIGMA**2).sqrt()


class Decoder(nn.Module):
    """A latent (B, latent) -> raw pose quaternions (B, T, J, 4) and sways (B, T, 3).

    straight: they are the window of the principal components in the latent, and what the LSTMs add.
    """

    def __init__(self, config: Config, joints: int, straight: bool = False) -> None:
        super().__init__()
        self.window, self.joints = config.window, joints
        sizes = [config.latent, *reversed(config.dense)]
        self.dense = _dense(sizes)
        self.recurrent = _recurrent(sizes[-1], config)
        self.out = nn.Linear(config.size * (1 + config.bidirectional), 4 * joints + 3)
        with torch.no_grad():
            if straight:
                self.out.weight.mul_(LITTLE)
                self.out.bias.zero_()
            else:  # begin with joints at rest: no quaternion then has to grow out of nothing
                self.out.bias[3 : 4 * joints : 4] = 1.0
        self.principal = Principal(config.window, 4 * joints + 3, config.latent) if straight else None
        self.straight = identity(config.latent) if straight else None

    def forward(self, latent: Tensor) -> Window:
        hidden = self.dense(latent)[:, None].expand(-1, self.window, -1)
        made = self.out(self.recurrent(hidden)[0])
        if self.straight is not None:
            made = made + self.principal.write(self.straight(latent))
        return made[..., :-3].reshape(-1, self.window, self.joints, 4), made[..., -3:]


def _recurrent(given: int, config: Config) -> LSTM:
    """LSTMs that begin with memories from a frame to a window long (chrono initialisation, Tallec and Ollivier 2018).

    With PyTorch's biases they forget half in a frame, and for long decode one pose that stands still.
    """
    made = LSTM(given, config.size, config.layers, batch_first=True, bidirectional=config.bidirectional)
    for name, bias in made.named_parameters():
        if not name.startswith("bias"):
            continue
        with torch.no_grad():
            bias.zero_()
            if name.startswith("bias_ih"):
                forget = torch.log(1.0 + torch.rand(config.size) * (config.window - 2))
                bias[: config.size], bias[config.size : 2 * config.size] = -forget, forget
    return made


def _dense(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
    return nn.Sequential(*layers)

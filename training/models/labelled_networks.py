"""The labelled partner's networks: encoder, decoder and classifier, and what labels do to a basis's numbers.

Encoder and decoder begin as what the basis does in closed form; they learn what is missing.
Shapes: B windows or N rows of them, T frames, J joints, Y numbers of labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models import labelled_pose as pose
from training.models.labelled_basis import Basis
from training.models.labelled_config import Config
from training.models.labelled_takes import FPS

HARMONICS = 6  # of where in a window a step is
SURE = 0.3  # deviation of a z that encoding begins with
PRIOR_WINDOWS = 40.0  # windows like any other that every label is thought to have, beside its own
EASED = 16  # frames in which a window comes to dance as it would by itself, at most
EXACT = 0.6  # of what a window misses to go on exactly; the rest is what anybody is accelerated by from frame to frame
ENTERS = 8  # frames in which the network comes in when a window begins, and goes out when it ends
LEAN, UNCLEAR = 0.6, 0.35  # how much of its mean a second column gets, and how far from the first it is unclear
USUAL = 0.99  # of what the network usually makes, a batch


class Encoder(nn.Module):
    """Windows, as the basis reads them, and labels → mu, logvar. It begins as the inverse of the decoder."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = sum(config.sizes)
        self.layers = nn.Sequential(nn.Linear(config.latent + size, config.encoder), nn.SiLU())
        self.out = nn.Linear(config.encoder + size, 2 * config.latent)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[config.latent :] = 2.0 * math.log(SURE)

    def forward(self, numbers: Tensor, plain: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar (N, latent) of what the basis reads (N, latent) under labels y (N, Y), of which it would come
        from `plain` z.
        """
        read = self.layers(torch.cat([numbers.clamp(-5.0, 5.0), y], dim=1))
        mu, logvar = self.out(torch.cat([read, y], dim=1)).chunk(2, dim=1)
        return plain + mu, logvar.clamp(-8.0, 2.0)


class Decoder(nn.Module):
    """[z, y] at every step → moves: what the basis makes of z in the way of y, and what a recurrent network adds.

    A step also knows where in its window it is. A state (N, size) is the network's, the last two moves, and whether
    there were any: zeros are a beginning. A window goes on exactly where another ended and as fast: the basis's numbers
    are drawn so that it nearly does, most of what is left is added to its moves, the less the later, and the network
    has no part in the first and the last of them.

    What would be the same whatever z is, is a gesture that came back with every window: what the network `usual`ly
    makes under a label, at each step, is taken from what it adds, and labels shift only what is still for a window.
    """

    usual: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        labels = sum(config.sizes)
        self.window, self.inner = config.window, config.state
        self.size = config.state + 2 * pose.WIDTH + 1
        self.parts_on = [config.latent, pose.WIDTH, pose.WIDTH]
        self.on_size = sum(self.parts_on)
        self.basis = Basis(config.window, config.latent)
        self.scale = nn.Parameter(torch.zeros(labels, config.latent))  # logarithms
        self.shift = nn.Parameter(torch.zeros(labels, config.latent))
        given = config.code + labels + 2 * HARMONICS
        self.code = nn.Linear(config.latent, config.code)
        self.cell = nn.GRU(given, config.state, batch_first=True)
        self.lift = nn.Sequential(nn.Linear(config.state + given, config.hidden), nn.SiLU())
        self.out = nn.Linear(config.hidden, pose.WIDTH)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("spread", torch.ones(pose.WIDTH))
        self.register_buffer("usual", torch.zeros(max(labels, 1), config.window, pose.WIDTH))
        self.register_buffer("share", entering(config.window), persistent=False)  # of the network, (T,)
        self.register_buffer("eased", EXACT * easing(config.window), persistent=False)  # (T, 2)
        self.sets = max(len(config.sizes), 1)

    def style(self, y: Tensor) -> Style:
        """What labels y (N, Y) do to the basis's numbers; between two labels, what lies between."""
        return Style((y @ self.scale).exp(), (y @ self.shift) * self.basis.still)

    def forward(self, z: Tensor, y: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """A window of moves (N, T, WIDTH) from z (N, latent), y (N, Y) and a state; and the state after it."""
        inner, last, before, alive = self.parts(state)
        steps = torch.arange(self.window, device=z.device, dtype=z.dtype)
        given = torch.cat([self.code(z), y], dim=1)[:, None].expand(-1, self.window, -1)
        given = torch.cat([given, clock(steps, self.window).expand(len(z), -1, -1)], dim=2)
        passed, after = self.cell(given, inner[None].contiguous())
        more, numbers = self.head(passed, given), self.numbers(z, y)
        more = self.share[:, None] * (more - self.common(more, y))
        on, place, pace = self.going_on(numbers, last, before, alive).split(self.parts_on, dim=1)
        eased = self.eased[:, :1] * place[:, None] + self.eased[:, 1:] * pace[:, None]
        made = self.clear(self.basis.write(numbers + on) + eased + more)
        return made, torch.cat([after[0], made[:, -1], made[:, -2], torch.ones_like(alive)], dim=1)

    def step(self, z: Tensor, y: Tensor, number: Tensor, on: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One move (N, WIDTH), the `number`th (N, 1) of its window; `on` and the state after it.

        on (N, on_size): of `going_on`, found at a window's first move and kept throughout it.
        """
        inner, last, before, alive = self.parts(state)
        given = torch.cat([self.code(z), y, clock(number[:, 0], self.window)], dim=1)
        after, at = self._next(given, inner), number[:, 0].long()
        numbers = self.numbers(z, y)
        on = torch.where(number < 0.5, self.going_on(numbers, last, before, alive), on)
        lacks, place, pace = on.split(self.parts_on, dim=1)
        eased, share = self.eased[at], self.share[at][:, None]
        move = self.basis.mean + ((numbers + lacks) * self.basis.waves[at]) @ self.basis.shapes
        more = share * (self.head(after, given) - self.usually(y, at))
        move = self.clear(move + eased[:, :1] * place + eased[:, 1:] * pace + more)
        return move, on, torch.cat([after, move, torch.where(alive > 0.5, last, move), torch.ones_like(alive)], dim=1)

    def _next(self, given: Tensor, inner: Tensor) -> Tensor:
        """One step of the GRU, in operations that every runtime has."""
        into = F.linear(given, self.cell.weight_ih_l0, self.cell.bias_ih_l0)
        own = F.linear(inner, self.cell.weight_hh_l0, self.cell.bias_hh_l0)
        sizes = [2 * self.inner, self.inner]
        (gates, new), (gates_own, new_own) = into.split(sizes, dim=1), own.split(sizes, dim=1)
        reset, keep = torch.sigmoid(gates + gates_own).split(self.inner, dim=1)
        new = torch.tanh(new + reset * new_own)
        return new + keep * (inner - new)

    def going_on(self, numbers: Tensor, last: Tensor, before: Tensor, alive: Tensor) -> Tensor:
        """What a window's numbers (N, latent) lack to go on, and how far off its first move is even so and how much it
        is too slow, a frame, (N, on_size).
        """
        first, second = self.basis.at(0), self.basis.at(1)
        moved, begins = last - before, self.basis.mean + numbers @ first
        place, pace = last + moved - begins, moved - numbers @ (second - first)
        on = self.basis.going_on(place, pace)
        return alive * torch.cat([on, place - on @ first, pace - on @ (second - first)], dim=1)

    def numbers(self, z: Tensor, y: Tensor) -> Tensor:
        """z in the way of y."""
        style = self.style(y)
        return z @ self.basis.mix * style.scale + style.shift

    def plain(self, numbers: Tensor, y: Tensor) -> Tensor:
        """The z that `numbers` of it would give in the way of y."""
        style = self.style(y)
        return (numbers - style.shift) / style.scale @ self.basis.unmix

    def parts(self, state: Tensor) -> tuple[Tensor, ...]:
        """The network's state, the last move, the one before, and 1 where there were any."""
        return state.split([self.inner, pose.WIDTH, pose.WIDTH, 1], dim=1)

    def clear(self, moves: Tensor) -> Tensor:
        """Moves (..., WIDTH) whose rotations are told clearly. Where a rotation's two columns are nearly parallel, the
        joint would spin about the first from one move to the next: the second leans to where it usually is.
        """
        x, y = moves[..., : -pose.CARRIAGE].unflatten(-1, (pose.JOINTS, 2, 3)).unbind(-2)
        usual = self.basis.mean[: -pose.CARRIAGE].reshape(pose.JOINTS, 2, 3)[:, 1]
        along = x * (x.square().sum(-1, keepdim=True) + 1e-12).rsqrt()
        apart, leans = (each - (along * each).sum(-1, keepdim=True) * along for each in (y, usual))
        y = y + LEAN * (-apart.square().sum(-1, keepdim=True) / UNCLEAR**2).exp() * leans
        return torch.cat([torch.stack([x, y], dim=-2).flatten(-3), moves[..., -pose.CARRIAGE :]], dim=-1)

    def common(self, more: Tensor, y: Tensor) -> Tensor:
        """What of what the network makes (N, T, WIDTH) under labels y (N, Y) depends on them and on the step alone, the
        same shape. In training it learns that; gradients see these rows' own mean, and so none is of what is common.
        """
        if not self.training:
            return self.usually(y)
        y = y if y.shape[1] else y.new_ones(len(y), 1)
        count = y.sum(dim=0)[:, None, None]
        mean = torch.einsum("ny,ntw->ytw", y, more) / count.clamp(min=1.0)  # (Y, T, WIDTH)
        with torch.no_grad():
            self.usual.lerp_(torch.where(count > 0.0, mean, self.usual), 1.0 - USUAL)
        usual = self.usual.clone() + mean - mean.detach()
        return torch.einsum("ny,ytw->ntw", y, usual) / self.sets

    def usually(self, y: Tensor, at: Tensor | None = None) -> Tensor:
        """What the network usually makes under y (N, Y), (N, T, WIDTH), or at one step each (N,), (N, WIDTH)."""
        of_step = self.usual if at is None else self.usual.transpose(0, 1)[at]  # (N, Y, WIDTH)
        if not y.shape[1]:
            return of_step[:1] if at is None else of_step[:, 0]
        if at is None:
            return torch.einsum("ny,ytw->ntw", y, of_step) / self.sets
        return (y[:, None] @ of_step)[:, 0] / self.sets

    def head(self, passed: Tensor, given: Tensor) -> Tensor:
        """What the network adds, of its states and what made them."""
        return self.spread * self.out(self.lift(torch.cat([passed, given], dim=-1)))

    @torch.no_grad()
    def fit(self, x: Tensor, labels: Tensor, sizes: Sequence[int]) -> None:
        """How much is added, and how labels scale the basis, which is fitted, from those (N, sets) that are known."""
        self.spread.copy_((x - self.basis.mean).std(dim=(0, 1)))
        numbers, row = self.basis.read(x), 0
        for known, size in zip(labels.unbind(1), sizes, strict=True):
            for label in range(size):
                own = numbers[known == label].square().sum(dim=0)
                whole = (own + PRIOR_WINDOWS) / (int((known == label).sum()) + PRIOR_WINDOWS)
                self.scale[row] = 0.5 * whole.log() / len(sizes)
                row += 1


class Style(NamedTuple):
    """What labels do to the basis's numbers, (N, latent) each."""

    scale: Tensor
    shift: Tensor


class Classifier(nn.Module):
    """Windows → log-probabilities of every set's labels. It sees where joints are, and how fast and sharp they move."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, numbers = config.classifier, 5 * pose.JOINTS
        self.sizes = config.sizes
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))
        self.layers = nn.Sequential(
            *(nn.Dropout(0.5 * config.dropout), nn.Conv1d(numbers, width, 5, padding=2), nn.SiLU()),
            *(nn.Dropout(config.dropout), nn.Conv1d(width, width, 5, stride=2, padding=2), nn.SiLU()),
        )
        self.out = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * width, max(sum(config.sizes), 1)))

    def forward(self, x: Tensor, seen: Tensor) -> list[Tensor]:
        """x (B, T, WIDTH), seen (B, T, J, 3) -> of every set (B, its labels)."""
        if not self.sizes:
            return []
        return self.judged(felt(x, seen))

    def judged(self, given: Tensor) -> list[Tensor]:
        """As `forward`, of what a window is `felt` to be (B, T, 5J)."""
        read = self.layers(((given - self.mean) / self.spread).transpose(1, 2))
        said = self.out(torch.cat([read.mean(dim=2), read.amax(dim=2)], dim=1))
        return [part.log_softmax(dim=1) for part in said.split(self.sizes, dim=1)]

    def fit(self, x: Tensor, seen: Tensor) -> None:
        given = felt(x, seen).flatten(0, 1)
        self.mean.copy_(given.mean(dim=0))
        self.spread.copy_(given.std(dim=0) + 0.02)


def felt(x: Tensor, seen: Tensor) -> Tensor:
    """What classifiers see of moves: `sensed`, wherever they lead."""
    return sensed(pose.on_stage(x, seen, FPS), seen)


def sensed(world: Tensor, seen: Tensor) -> Tensor:
    """Joints seen from under the hips, and logarithms of their speeds and accelerations in the world, (B, T, 5J)."""
    steps = world[:, 1:] - world[:, :-1]  # `diff` cannot be exported
    turns = steps[:, 1:] - steps[:, :-1]
    speed = (steps.square().sum(-1) + 1e-10).sqrt() * FPS
    bend = (turns.square().sum(-1) + 1e-10).sqrt() * FPS * FPS
    return torch.cat(
        [seen.flatten(2), F.pad((speed + 0.05).log(), (0, 0, 1, 0)), F.pad((bend + 0.5).log(), (0, 0, 2, 0))], dim=-1
    )


def clock(steps: Tensor, window: int) -> Tensor:
    """Where in their window steps (...) are, (..., 2 · HARMONICS)."""
    angle = steps[..., None] / window * math.pi * torch.arange(1, HARMONICS + 1, device=steps.device, dtype=steps.dtype)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def entering(window: int) -> Tensor:
    """How much of the network there is in each step of a window (T,): none in the first two and the last two."""
    steps = torch.arange(window, dtype=torch.float32)
    s = ((torch.minimum(steps, window - 1 - steps) - 1.0) / min(ENTERS, window / 3)).clamp(0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


def easing(window: int) -> Tensor:
    """What is left at each step of a window of a miss of 1 and of a speed of 1 a frame that it began with, (T, 2):
    the quintics that end at rest.
    """
    frames = min(EASED, window - 2)
    s = (torch.arange(window) / frames).clamp(max=1.0)
    place = 1.0 - s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
    return torch.stack([place, frames * (s - 6.0 * s**3 + 8.0 * s**4 - 3.0 * s**5)], dim=1)

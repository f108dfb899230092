"""The labelled partner as it runs live: it dances on by itself, as labels say, near the dancer.

The model thinks at 30 frames a second. A step of the graph is a frame of any rate: the model moves when it is time, and
what is shown lies on a curve through its last two moves, as fast in each of them as the way was that led there. A run
is one move at most: the label's `fps_out` tells whoever has frames further apart to run it several times for one. Every
window it draws a new z; labels count from the moment on that they change. Rotations are of length one within a few
percent, as the model makes them; whoever reads 6 numbers as a rotation makes it one.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from exporters.graphs import ports
from motion.manifest import Manifest, Param
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_takes import FPS

ROOM = 0.7  # metres around their place in which partners go where they like
PULL = 1.0  # metres beyond that at which they come back as fast as they go
APART = 1.5  # metres between dancer and partner
FACES = 1.0  # of turns, and radians for a metre of steps, that bring a partner round to the dancer
BENT = 5.0  # radians a second, at most
CLEAR, YIELDS = 1.0, 0.4  # metres from the dancer's hips that partners keep, and over which they come to yield
STEP = 4 + pose.WIDTH  # of the way from a move to the next: on the floor, up, turned, and of the move
HALF_LIFE = 0.25  # seconds of a label's way


class LabelledStep(nn.Module):
    """dancer (B, 3J), dt (B, 1), noise (B, latent), labels' dials, variety, distance, attention (B, 1), and states ->
    partner (B, 3 + 6J), and the states after.
    """

    def __init__(self, model: Labelled) -> None:
        super().__init__()
        self.model, self.config, self.skeleton = model, model.config, model.skeleton

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from. Labels stand evenly on their dial, from 0 to 1."""
        dials = tuple(
            Param(
                f"label/{of_set}",
                0.5 if len(labels) > 1 else 0.0,
                0.0,
                1.0,
                HALF_LIFE,
                " .. ".join(labels),
                names=labels,
            )
            for of_set, labels in self.config.label_sets
        )
        params = (
            *dials,
            Param("variety", 1.0, 0.0, 1.5, 0.3, "how far from the middle of all movements what is danced is drawn"),
            Param("distance", APART, -4.0, 4.0, 0.5, "metres along +X from the dancer to the partner's place"),
            Param("attention", 1.0, 0.0, 1.0, 0.5, "how much turns are bent so that the partner looks at the dancer"),
        )
        latent = self.config.latent
        inputs = {"dancer": (3 * pose.JOINTS,), "dt": (1,), "noise": (latent,)} | {each.name: (1,) for each in params}
        decoder = self.model.decoder
        states = {"clock": (3,), "z": (latent,), "on": (decoder.on_size,), "mind": (decoder.size,)}
        states |= {"place": (3,), "ways": (2 * STEP,)}
        return replace(ports.frame_by_frame(name, self.skeleton, (inputs, states), params), fps_out=FPS)

    def forward(self, dancer: Tensor, dt: Tensor, noise: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        dials, rest = rest[: len(self.config.sizes)], rest[len(self.config.sizes) :]
        variety, distance, attention, clock, z, on, mind, place, ways = rest
        y = self.model.between([dial[:, 0] for dial in dials]) if dials else noise[:, :0]
        home = dancer[:, 0:3:2] + distance * dancer.new_tensor([1.0, 0.0])  # from under the dancer's hips

        # 1. Is it time for a move? The first frame makes one, too.
        moves, number, elapsed = clock.split(1, dim=1)  # moves made so far, up to two
        dances, looks = moves > 0.5, -0.5 * torch.pi * distance.sign() * attention
        at, yaw = torch.where(dances, place[:, :2], home), torch.where(dances, place[:, 2:], looks)
        elapsed = torch.where(moves > 0.5, elapsed + dt * FPS, 1.0)

        # 2. The move, and where it leads.
        due = elapsed >= 1.0
        drawn = torch.where(number < 0.5, noise * variety, z)
        _, on_next, mind_next = self.model.decoder.step(drawn, y, number, on, mind)
        number_next = torch.where(number > self.config.window - 1.5, 0.0, number + 1.0)
        z, on, mind, number = (
            torch.where(due, new, old)
            for new, old in ((drawn, z), (on_next, on), (mind_next, mind), (number_next, number))
        )
        moves = (moves + due.to(moves)).clamp(max=2.0)
        elapsed = torch.where(due, elapsed - 1.0, elapsed).clamp(max=0.999)
        _, last, before, _ = self.model.decoder.parts(mind)
        pace = ways[:, STEP : STEP + 2].norm(dim=1, keepdim=True) * FPS  # of the move before, in m/s
        rate = last[:, -1:]
        bent = FACES * attention * _aside(dancer[:, 0:3:2] - at, yaw) * (rate.abs() + pace)
        rate = rate + bent.clamp(-BENT, BENT)
        last = torch.cat([last[:, :-1], rate], dim=1)  # so the hips go round what stands
        heights, led = pose.carried(before, last, FPS)
        led, turn = ((moves > 1.5).to(led) * each for each in (led, rate / FPS))
        low, high = heights.split(1, dim=1)
        way = torch.cat([pose.turned(led, yaw), high - low, turn, last - before], dim=1)
        ways = torch.where(due, torch.cat([ways[:, STEP:], way], dim=1), ways)
        at, yaw = torch.where(due, at + pose.turned(led, yaw), at), torch.where(due, yaw + turn, yaw)

        # 3. Whoever goes too far comes back, and not through the dancer, by the steps that are made anyway: nobody who
        # stands is dragged.
        away = home - at
        far = away.norm(dim=1, keepdim=True).clamp(min=1e-6)
        speed = led.norm(dim=1, keepdim=True) * FPS
        at = at + away / far * ((far - ROOM) / PULL).clamp(0.0, 1.0) * speed * dt
        beside = at - dancer[:, 0:3:2]
        near = beside.norm(dim=1, keepdim=True).clamp(min=1e-6)
        at = at + beside / near * ((CLEAR - near) / YIELDS).clamp(0.0, 1.0) * 3.0 * speed * dt

        # 4. What is shown lies on the way from the last move but one: Hermite's cubic, as fast at either end as the way
        # that led there.
        earlier, later = elapsed * (1.0 - elapsed).square(), elapsed.square() * (2.0 - elapsed) - 1.0
        former, latter = ways.split(STEP, dim=1)
        floor, up, aside, moved = (earlier * former + later * latter).split([2, 1, 1, pose.WIDTH], dim=1)
        shown_at, height, shown_yaw, shown = at + floor, high + up, yaw + aside, last + moved
        cos, sin = shown_yaw.cos()[:, None], shown_yaw.sin()[:, None]
        x, y, z_axis = shown[:, :6].unflatten(1, (2, 3)).split(1, dim=2)  # of the hips' two columns
        hips = torch.cat([cos * x + sin * z_axis, y, cos * z_axis - sin * x], dim=2).flatten(1)
        partner = torch.cat([shown_at[:, :1], height, shown_at[:, 1:], hips, shown[:, 6 : -pose.CARRIAGE]], dim=1)
        clock, place = torch.cat([moves, number, elapsed], dim=1), torch.cat([at, yaw], dim=1)
        return partner, clock, z, on, mind, place, ways


def _aside(towards: Tensor, yaw: Tensor) -> Tensor:
    """The sine of half the angle (B, 1) to the left from where yaws (B, 1) look, to level directions (B, 2)."""
    x, z = (towards / towards.norm(dim=1, keepdim=True).clamp(min=1e-6)).split(1, dim=1)
    left, ahead = x * yaw.cos() - z * yaw.sin(), x * yaw.sin() + z * yaw.cos()
    return left / (left.abs() + 0.1) * (0.5 * (1.0 - ahead)).clamp(min=1e-6).sqrt()

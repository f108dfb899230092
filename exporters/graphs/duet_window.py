"""Windowed partners as they run live: a dancer's window in, the partner's window of the same frames out. No state.

The graph turns world poses into the network's view and back, so its ports are physical. z = mu + variety·sigma·noise;
then `latent_mix` of it gives way to `latent_other` (another window's latent: the graph puts out its own as `latent`,
zero is the mean of the prior), and `latent_offset` is added: the AI-Toolbox's mix and offset of encodings.
Live, a window waits for its hop, is danced, and dissolves into the one before it: two hops (latency_frames).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from exporters.graphs import ports
from motion import features
from motion.manifest import Manifest, Param, Port
from motion.skeleton import Skeleton
from training import kinematics
from training.models import carriage, deepfake, window_vae
from training.models.carriage import Carriage
from training.models.deepfake import Deepfake
from training.models.duet_window import DuetWindow
from training.models.window_vae import Config, Window

APART = 1.2  # metres between a dancer and who dances the same beside them


class WindowStep(nn.Module):
    """Everything but what comes out of the latent: `dance` is the models' own."""

    params: tuple[Param, ...] = ()

    def __init__(self, model: DuetWindow | Deepfake) -> None:
        super().__init__()
        self.config: Config = model.config
        self.skeleton: Skeleton = model.skeleton
        self.joints = len(model.skeleton)
        self.model = model

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        config, latent = self.config, self.config.latent
        knobs = (
            Param("variety", 1.0, 0.0, 2.0, 0.3, "how much of the latent's own uncertainty is danced"),
            *self.params,
            Param("latent_offset", 0.0, -2.0, 2.0, 0.3, "added to each number of the latent", latent),
            Param("latent_mix", 0.0, 0.0, 1.0, 0.3, "share of latent_other in each number of the latent", latent),
            Param("latent_other", 0.0, -1.0, 1.0, 0.3, "the latent of another window; 0 is the prior's mean", latent),
        )
        width = features.width(ports.POSE, self.joints)
        return Manifest(
            name,
            "duet",
            self.skeleton,
            (
                Port("dancer", "motion", ("batch", config.window, width), layout=ports.POSE),
                Port("noise", "noise", ("batch", latent)),
                *(Port(knob.name, "condition", ("batch", knob.size)) for knob in knobs),
            ),
            (ports.partner(self.skeleton, config.window), Port("latent", "condition", ("batch", latent))),
            knobs,
            fps_in=config.fps,
            fps_out=config.fps,
            window=config.window,
            hop=config.hop,
            latency_frames=config.latency,
            ahead_frames=getattr(config, "ahead", 0),
        )

    def forward(self, dancer: Tensor, noise: Tensor, variety: Tensor, *knobs: Tensor) -> tuple[Tensor, Tensor]:
        """dancer (B, T, 3 + 6J) world, noise (B, latent) ... -> partner (B, T, 3 + 6J) world, the dancer's latent."""
        own, (offset, mix, other) = knobs[:-3], knobs[-3:]
        # 1. The dancer, seen from their carriage.
        root, spread = dancer[..., :3], self.config.carriage * self.config.window
        turns = kinematics.matrices_from_6d(dancer[..., 3:].reshape(-1, self.config.window, self.joints, 6))
        path = carriage.carried(root, turns[:, :, 0, :, 0], spread)
        turns, sway = carriage.within(root, turns, path)
        seen = window_vae.quaternions(turns), sway

        # 2. The latent, and what hands change in it.
        mu, sigma = self.model.encoder(seen, path)
        latent = mu + variety * sigma * noise
        latent = latent + mix * (other - latent) + offset

        # 3. The partner, and their carriage, in the world.
        (q, sway), path = self.dance(latent, seen, path, *own)
        at, turns = carriage.on_stage(window_vae.matrices(q), sway, path)
        return torch.cat([at, kinematics.sixd_from_matrices(turns).flatten(2)], dim=-1), mu


class DuetWindowStep(WindowStep):
    """The partner of training.models.duet_window."""

    params = (Param("distance", 0.0, -0.5, 1.5, 0.3, "metres added between dancer and partner"),)

    def dance(self, latent: Tensor, seen: Window, path: Carriage, distance: Tensor) -> tuple[Window, Carriage]:
        """What the partner does, and where."""
        return deepfake.unit(self.model.decoder(latent)), self.model.placed(seen, path, distance)


class DeepfakeStep(WindowStep):
    """The partner of training.models.deepfake: the dancer's own motion, as dancer 1, dancer 2 or between, beside them.

    They stand `distance` to the right of the stage's +X axis: turning with the dancer they would run in circles.
    """

    params = (
        Param("mix", 1.0, 0.0, 1.0, 0.3, "who dances: 0 dancer 1 (the leads), 1 dancer 2 (the follows)"),
        Param("distance", APART, -3.0, 3.0, 0.3, "metres along +X between the dancer and who dances the same"),
    )

    def dance(
        self, latent: Tensor, seen: Window, path: Carriage, mix: Tensor, distance: Tensor
    ) -> tuple[Window, Carriage]:
        """What they do, and where: on the dancer's path, moved aside."""
        made = deepfake.mixed(self.model.decoder1(latent), self.model.decoder2(latent), mix)
        return made, Carriage(path.place + distance[:, None] * path.place.new_tensor([1.0, 0.0]), path.left)

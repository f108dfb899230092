"""Drawing what comes next: the mixture's own way of drawing, and around it the way to its coordinates and back.

What is known or limited is told in metres, as for any mixture model. Known numbers of the past are coordinates of the
mixture; a known number of what comes is a wish for a linear function of them, like every prior on one. What is not
known of the past counts as usual where wishes and limits are put into the mixture's coordinates; each candidate then
goes on from the past that it has itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.models.drmm import Tables
from training.models.drmm_draw import OUTPUTS, Drawer, draw
from training.models.drmm_motion import MotionDrmm


class MotionDrawer(Drawer):
    """As Drawer."""

    outputs = (*OUTPUTS, "responses")

    def __init__(self, model: MotionDrmm) -> None:
        super().__init__(model)
        self.past = past = model.past
        factor = model.factor.double()
        self.register_buffer("mean", model.mean.clone())
        self.centre, self.scale = (
            model.mean.clone(),
            model.factor.square().sum(dim=1).sqrt(),
        )  # what is usual, in metres
        self.register_buffer("whiten", factor[:past, :past].inverse().T.float().contiguous())
        self.register_buffer("regress", factor[past:, :past].T.float().contiguous())
        self.register_buffer("factor", factor[past:, past:].float().contiguous())

    def forward(
        self, x: Tensor, precision: Tensor, gumbel: Tensor, a: Tensor, b: Tensor, w: Tensor, pull: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Besides, responses (N, I, D): the covariance of every number to come with each row's function of them, within
        what the last layer leaves open. Who has a wish fulfilled moves the rest along with it.
        """
        unit, past = self.config.past_scale, self.past
        mean = self.mean[:past]
        known = precision[:, -1, :past] > 0.0
        was = torch.where(known, x[:, :past] - mean, 0.0)  # (N, past)
        expected, spread = self._expected(was)
        # A number to come that is known is a row of its own; rows that nobody asks for cost nothing.
        turned = spread[:, None]  # (N, 1, 1); as a factor it also gives a table the questions' axis
        rows = torch.cat([self.factor * turned, (a[..., past:] @ self.factor) * turned], dim=1)
        of_past = torch.cat([0.0 * self.regress.T * turned, a[..., :past] / unit], dim=1)
        bound = b - a[..., :past] @ mean - (a[..., past:] @ expected[..., None])[..., 0]
        nothing = torch.zeros_like(x[:, past:])
        links = [getattr(self, f"links_{layer}") for layer in range(self.config.layers)]
        samples, log_weights, components = draw(
            Tables(self.means, self.log_variance, self.log_weights, links),
            self.config.sampling_truncation,
            torch.cat([was * unit, nothing], dim=1),
            torch.cat([precision[..., :past] / unit**2, torch.zeros_like(precision[..., past:])], dim=-1),
            gumbel,
            torch.cat([of_past, rows], dim=-1),
            torch.cat([x[:, past:] - expected, bound], dim=1),
            torch.cat([nothing, w], dim=1),
            torch.cat([precision[..., past:], pull], dim=2),
        )
        was = torch.where(known[:, None], was[:, None], samples[..., :past] / unit)  # (N, C, past)
        expected, spread = self._expected(was)
        coming = expected + spread * (samples[..., past:] @ self.factor.T)
        open_variance = self.log_variance[-1].exp() * torch.ones(x.shape[1])
        moved = (rows[:, coming.shape[-1] :] * open_variance[past:]) @ self.factor.T * turned
        responses = torch.cat([torch.zeros_like(a[..., :past]), moved], dim=-1)
        return torch.cat([was + mean, coming], dim=-1), log_weights, components, responses

    def _expected(self, was: Tensor) -> tuple[Tensor, Tensor]:
        """As MotionDrmm.expected, of any batch axes."""
        whole, freedom = was @ self.whiten, self.config.freedom
        unusual = (freedom + whole.square().sum(dim=-1, keepdim=True)) / (freedom + self.past)
        return whole @ self.regress + self.mean[self.past :], unusual.sqrt()

"""What a model must be able to do of which training.identity_figures says how well it tells who from what.

Frames x (B, T, ...) are moves of training.models.identity_pose, or pictures (B, T, C, H, W) from 0 to 1. Everything is
asked in evaluation mode, without gradients, and answered without chance but where a generator is given.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Disentangled(Protocol):
    """A model of who moves (s) and what is done (d)."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """Sequences as they come back, (B, T, ...)."""

    def swap(self, content: Tensor, identity_from: Tensor, frame_by_frame: bool = False) -> Tensor:
        """What is done in content (B, T, ...), by whom identity_from (B, T', ...) shows; frame_by_frame: as each frame
        says, which is all that a stage has.
        """

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """s (B, S), what the decoder is told of who it is, and d (B, D), what it is told of what is done."""

    def sample(self, count: int, length: int, random: torch.Generator) -> Tensor:
        """Sequences (count, length, ...) from the prior."""

    def generate(self, x: Tensor, length: int) -> Tensor:
        """Sequences (B, length, ...) that begin as x (B, T, ...) does and go on as the transition prior says, with the
        s and d of x.
        """

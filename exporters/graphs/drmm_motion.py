"""The mixture model of motion as it runs: asked and answered like any mixture model, in metres."""

from __future__ import annotations

from dataclasses import replace

from exporters.graphs.drmm import DrmmStep
from motion.manifest import Manifest, Port
from training.models.drmm_motion_draw import MotionDrawer


class MotionStep(MotionDrawer, DrmmStep):
    """See training.models.drmm_motion_draw; ports are those of any mixture model.

    The label's `log_variance_`... are in the mixture's own coordinates; `motion` is past_scale and freedom.
    """

    def label(self, name: str) -> Manifest:
        label, c = super().label(name), self.config
        inside = {f"log_variance_{layer}": row for layer, row in enumerate(self.log_variance.tolist())}
        rows = next(port.shape for port in label.inputs if port.name == "A")
        responses = Port("responses", "constraint", rows)
        label = replace(label, outputs=(*label.outputs, responses))
        return replace(label, vectors=label.vectors | inside | {"motion": [c.past_scale, c.freedom]})

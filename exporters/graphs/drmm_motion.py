"""The mixture model of motion as it runs: asked and answered like any mixture model, in metres."""

from __future__ import annotations

from exporters.graphs.drmm import DrmmStep
from training.models.drmm_motion_draw import MotionDrawer


class MotionStep(MotionDrawer, DrmmStep):
    """See training.models.drmm_motion_draw; ports and label are those of any mixture model."""

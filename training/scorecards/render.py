"""The model as the audience would see it: a recording through the live pipeline, frame by frame, offline."""

from __future__ import annotations

import numpy as np

from motion.clip import Clip
from motion.skeleton import HUMANOID
from server.onnx_model import ModelError, OnnxModel
from server.pipeline import DancerLine, PartnerLine, Pipeline
from server.protocols.frames import PoseFrame
from server.stages.deglitch import Deglitch
from server.stages.partner import Partner
from server.stages.retarget import Retarget
from server.stages.safety import Safety


def render_partner(model: OnnxModel, lead: Clip, seed: int) -> Clip:
    """The partner that `model` dances to a raw lead, frame for frame at the lead's rate, on HUMANOID.

    The same stages, params and seed as a show with one dancer and one partner at their defaults. Raises ModelError
    at the first frame in which the model fails.
    """
    model.reset()
    dancer = DancerLine("dancer1", [Retarget(), Deglitch()], lead.fps)
    partner = PartnerLine("partner1", "dancer1", [Partner(model, seed=(seed, 0)), Safety()])
    pipeline = Pipeline([dancer], [partner])
    root, rotations = np.empty((len(lead), 3)), np.empty((len(lead), len(HUMANOID), 4))
    for number, pose in enumerate(lead):
        time = number / lead.fps
        frame = PoseFrame(lead.skeleton, pose.root_position, pose.rotations, time, time, number)
        made = {pose.actor: pose for pose in pipeline.step("dancer1", frame)}
        if pipeline.faults:
            raise ModelError(f"{model.path} fails in frame {number}: {partner.last_fault or dancer.last_fault}")
        root[number], rotations[number] = made["partner1"].root_position, made["partner1"].rotations
    return Clip(HUMANOID, lead.fps, root, rotations)

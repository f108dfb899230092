"""Models dance through the live pipeline: together as alone, here as on the server."""

import numpy as np
import pytest

from motion.skeleton import HUMANOID
from server.onnx_model import ModelError
from server.preset import parse
from server.protocols.frames import PoseFrame
from server.show import build_pipeline
from training.scorecards import render


def test_partners_of_one_dance_are_those_of_dances_alone(models, read):
    who = ((models[0], 0), (models[1], 0), (models[0], 1))
    lead = read[0].lead[:240]
    together = render.render_partners(render.Dance(lead, who))
    for partner, alone in zip(
        together, (render.render_partners(render.Dance(lead, (one,)))[0] for one in who), strict=True
    ):
        np.testing.assert_array_equal(partner.rotations, alone.rotations)
        np.testing.assert_array_equal(partner.root_positions, alone.root_positions)
    assert np.abs(together[0].rotations - together[2].rotations).max() > 0.0  # another seed


def test_dances_in_other_processes_are_the_same(models, read):
    dances = [render.Dance(take.lead[:60], ((models[0], 0),)) for take in read[:2]]
    for one, other in zip(render.render(dances, 1), render.render(dances, 2), strict=True):
        np.testing.assert_array_equal(one[0].rotations, other[0].rotations)


def test_the_render_is_that_of_the_server(models, read, folder):
    preset = parse(
        {
            "format": 1,
            "clock": {"follow": "dancer", "fps": 120},
            "seed": 0,
            "dancers": {"dancer1": {"receive": "bvh", "file": "lead_0.bvh"}},
            "partners": {"partner1": {"dancer": "dancer1", "model": str(models[0])}},
            "control": False,
            "stage_page": False,
        },
        folder / "show.yaml",
    )
    pipeline = build_pipeline(preset, folder / "show.yaml")
    poses = [
        next(
            iter(pipeline.step("dancer1", PoseFrame(HUMANOID, pose.root_position, pose.rotations, n / 120, n / 120, n)))
        )
        for n, pose in enumerate(read[0].lead[:120])
    ]
    (clip,) = render.render_partners(render.Dance(read[0].lead[:120], ((models[0], 0),)))
    np.testing.assert_array_equal(clip.rotations, np.stack([pose.rotations for pose in poses]))


def test_a_model_that_is_no_partner_is_named(read, tmp_path):
    dances = [render.Dance(take.lead[:10], ((tmp_path / "none.onnx", 0),)) for take in read[:2]]
    for processes in (1, 2):
        with pytest.raises(ModelError, match=r"none.onnx cannot dance: .*no model file"):
            render.render(dances, processes)

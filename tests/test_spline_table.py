"""Where a spline is nearer than a model: rows of measured errors, and who is asked at a rate."""

import pytest

from exporters.labels import relabel
from motion.spline_table import better_from, ranges
from server.onnx_model import OnnxModel
from untrained_upsamplers import of_poses

ERRORS = {7.5: (3.0, 4.0), 15.0: (2.0, 2.5), 30.0: (1.2, 1.0), 60.0: (0.5, 0.4)}  # the model's and the spline's


def test_what_lies_between_two_rates_is_the_nearer_ones():
    (row,) = ranges(ERRORS, 2, "live")
    assert row == {"where": "live", "ahead": 2, "from_fps": 21.2, "to_fps": 1000.0}
    assert ranges({30.0: (1.0, 1.0)}, 2, "live") == []
    whole = ranges({fps: (spline, model) for fps, (model, spline) in ERRORS.items()}, 1, "offline")
    assert [(row["from_fps"], row["to_fps"]) for row in whole] == [(1.0, 21.2)]
    torn = ranges(ERRORS | {15.0: (2.0, 1.0), 30.0: (1.0, 2.0)}, 0, "live")
    assert [(row["from_fps"], row["to_fps"]) for row in torn] == [(10.6, 21.2), (42.4, 1000.0)]


@pytest.mark.parametrize(
    ("fps", "ahead", "where", "found"),
    [
        (30.0, 2, "live", 21.2),
        (30.0, 2, "offline", None),
        (30.0, 1, "live", None),
        (15.0, 2, "live", None),
        (50.0, 0, "live", 45.0),
        (50.0, 0, "offline", 45.0),
    ],
)
def test_a_row_counts_for_its_rates_its_keys_ahead_and_its_place(fps, ahead, where, found):
    of_both = {"ahead": 0, "from_fps": 45.0, "to_fps": 1000.0}
    assert better_from({"spline_is_better": [*ranges(ERRORS, 2, "live"), of_both]}, fps, ahead, where) == found
    assert better_from({}, fps, ahead, where) is None


def test_a_label_is_written_anew_and_the_graph_stays(tmp_path):
    path = of_poses(tmp_path / "model.onnx")
    before = OnnxModel(path).manifest
    relabel(path, scorecard={"spline_is_better": ranges(ERRORS, 2, "live")})
    after = OnnxModel(path).manifest
    assert better_from(after.scorecard, 30.0, 2, "live") == 21.2
    assert (after.name, after.inputs, after.made_from) == (before.name, before.inputs, before.made_from)
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]
    (tmp_path / "no.onnx").write_text("no model")
    with pytest.raises(ValueError, match=r"no\.onnx"):
        relabel(tmp_path / "no.onnx", scorecard={})

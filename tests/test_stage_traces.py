"""What bodies leave behind: trails follow hands and feet and grow thin, marks are where feet stand."""

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.show import PARTNER_STAGES
from server.stage_view.dials import KNOBS
from server.stage_view.scene import LANE, side_by_side
from server.stage_view.traces import (
    MARK_SECONDS,
    MARK_SIZE,
    MARKS,
    TRAIL_STEPS,
    TRAILED,
    Marks,
    Trails,
    needle_mesh,
)

STANDING = HUMANOID.rest_positions[None]  # (1, J, 3), on the floor
UP = np.array([0.0, 0.3, 0.0])
ALONG = np.array([0.0, 0.0, 0.1])


def ends(trails: Trails) -> tuple[np.ndarray, np.ndarray]:
    """Where needles begin and end, (4, TRAIL_STEPS, 3) each."""
    starts, turns = trails.positions[0].astype(float), trails.wxyzs[0][:, [1, 2, 3, 0]].astype(float)
    needles = np.outer(trails.scales[0][:, 1], (0.0, 1.0, 0.0))
    shape = (4, TRAIL_STEPS, 3)
    return starts.reshape(shape), (starts + rot.rotate(turns, needles)).reshape(shape)


def test_trails_lead_from_where_hands_and_feet_are_to_where_they_were() -> None:
    trails = Trails(STANDING)
    for step in range(1, 31):
        trails.move(STANDING + step * ALONG / 10, 1 / 30)
    begin, end = ends(trails)
    np.testing.assert_allclose(begin[:, 0], STANDING[0, TRAILED] + 3 * ALONG, atol=1e-6)
    np.testing.assert_allclose(begin[:, 1:], end[:, :-1], atol=2e-4)
    assert (np.diff(begin[:, :, 2], axis=1) <= 0.0).all()


def test_a_body_that_leaps_leaves_no_trail_across_the_stage() -> None:
    trails = Trails(STANDING)
    trails.move(STANDING + 50 * ALONG, 1 / 30)
    begin, end = ends(trails)
    assert np.abs(begin - end).max() < 1e-3


def test_trails_grow_thinner() -> None:
    thick = Trails(STANDING).scales[0, :, 0].reshape(4, TRAIL_STEPS)
    assert (np.diff(thick, axis=1) < 0.0).all()


def test_a_needle_is_closed_around_and_faces_outwards() -> None:
    vertices, faces = needle_mesh()
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    outwards = (a + b + c) / 3 * (1.0, 0.0, 1.0)
    assert (np.vecdot(np.cross(b - a, c - a), outwards) > 0.0).all()
    assert set(faces.ravel()) == set(range(len(vertices)))


def marked(marks: Marks) -> np.ndarray:
    """How wide each mark is, of its full width; nothing where there is none."""
    wide = marks.scales[0, :, 0] / MARK_SIZE[0]
    return np.where(wide < 0.01, 0.0, wide)


def test_a_foot_that_stands_has_a_mark_which_shrinks_when_it_has_left() -> None:
    marks = Marks(STANDING)
    marks.move(STANDING, 1 / 30)
    shown = marks.positions[0, marked(marks) == 1.0]
    assert len(shown) == 2
    toes = STANDING[0, HUMANOID.both_sides("Toes")]
    np.testing.assert_allclose(np.abs(shown[:, [0, 2]] - toes[:, [0, 2]]), [[0, 0.0545]] * 2, atol=1e-3)  # mid-foot
    marks.move(STANDING + UP, 1.0)
    np.testing.assert_allclose(marked(marks).max(), np.sqrt(1.0 - 1.0 / MARK_SECONDS), atol=1e-6)
    marks.move(STANDING + UP, MARK_SECONDS)
    assert marked(marks).max() == 0.0


def test_a_foot_that_slides_marks_nothing() -> None:
    marks = Marks(STANDING)
    marks.move(STANDING + ALONG, 1 / 30)
    assert marked(marks).max() == 0.0


def test_the_oldest_mark_of_a_foot_is_taken_again() -> None:
    marks = Marks(STANDING)
    for _ in range(MARKS + 2):
        for joints in (STANDING, STANDING, STANDING + UP):  # it lands, stands, is lifted
            marks.move(joints, 1 / 30)
    assert (marked(marks) > 0.0).sum() == 2 * MARKS


def test_side_by_side_every_partner_has_the_dancer() -> None:
    rotations = np.tile((0.0, 0.0, 0.0, 1.0), (len(HUMANOID), 1))
    frames = [PoseFrame(HUMANOID, HUMANOID.offsets[0], rotations, 0.0, 0.0, 0, name) for name in ("d", "a", "b")]
    shown = side_by_side(frames, {"a": "d", "b": "d"})
    assert [frame.actor for frame in shown] == ["d", "a", "d", "b"]
    np.testing.assert_allclose([frame.root_position[0] for frame in shown], [-LANE / 2] * 2 + [LANE / 2] * 2)
    assert side_by_side(frames, {}) == frames
    assert side_by_side(frames, {"a": "somebody"}) == frames


def test_the_knobs_that_every_partner_has_are_known_to_the_panel() -> None:
    knobs = {param.name for stage in PARTNER_STAGES for param in stage().params}
    assert knobs | {"anticipation", "sampling"} == set(KNOBS)

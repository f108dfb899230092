"""What a detector sees of HUMANOID in a camera's picture: MediaPipe's landmarks and OpenPose's keypoints, by OSC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motion.keypoint_body import BESIDE, CARRIERS, POINTS
from motion.kinematics import forward
from motion.skeleton import HUMANOID, Array
from server.protocols import osc
from server.protocols.camera import AXES
from server.protocols.frames import PoseFrame
from server.protocols.mediapipe import LANDMARKS
from server.protocols.openpose import BODY_25

_HIPS = [POINTS.index("LeftHip"), POINTS.index("RightHip")]


def points_of(root_positions: Array, rotations: Array) -> Array:
    """The body's points in the order of POINTS, (..., 25, 3) metres, of poses (..., 3) and (..., 22, 4)."""
    positions, matrices = forward(HUMANOID, root_positions, rotations)
    return np.asarray(
        positions[..., CARRIERS, :] + np.einsum("...kij,kj->...ki", matrices[..., CARRIERS, :, :], BESIDE)
    )


class Detector:
    """Frames on HUMANOID to datagrams of one detector's points, x y z and how sure it is, in the picture's axes.

    around_hips: metres around the middle of the hips, as MediaPipe's world landmarks are.
    """

    def __init__(self, address: str, names: Sequence[str], around_hips: bool) -> None:
        self._rows, self._points = zip(*((names.index(n), k) for k, n in enumerate(POINTS) if n in names), strict=True)
        self._around_hips = around_hips
        self._values = np.zeros((len(names), 4))
        self._values[list(self._rows), 3] = 1.0
        slots = tuple(osc.Slot(place) for place in range(self._values.size))
        self._template = osc.Template([(address, slots)], bundle=False)

    def encode(self, frame: PoseFrame) -> list[bytes]:
        points = points_of(frame.root_position, frame.rotations)
        if self._around_hips:
            points = points - points[_HIPS].mean(axis=0)
        self._values[list(self._rows), :3] = points[list(self._points)] * AXES["picture"]
        return self._template.fill(self._values.ravel())


def mediapipe(actor: str) -> Detector:
    return Detector("/mediapipe/pose", LANDMARKS, around_hips=True)


def openpose(actor: str) -> Detector:
    return Detector("/openpose/0", BODY_25, around_hips=False)

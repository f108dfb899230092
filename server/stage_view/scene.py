"""The stage as the browser draws it: a pool of light on a floor with a grid, and everybody on it.

Only viser and numbers. All bodies are three instanced meshes (limbs, ellipsoids, shadows) whatever their number, so a
frame is a handful of messages. The camera belongs to whoever holds the mouse: to follow the dancers the stage itself
glides under it, and the lens opens when somebody would leave the picture.

Two partners of one dancer can be looked at side by side: each has a lane with the dancer in it once more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import viser

from motion.skeleton import Array
from server.protocols.frames import PoseFrame
from server.stage_view import bodies as shapes
from server.stage_view.bodies import Floats, Placement
from server.stage_view.floor import CELL, floor_glb, grid_glb, spot_glb
from server.stage_view.painted import painted
from server.stage_view.traces import Marks, Trails, needle_mesh

# Okabe and Ito's palette, told apart by every kind of colour vision: each kind takes its own in turn.
DANCER_COLOURS = ((0, 114, 178), (86, 180, 233))
PARTNER_COLOURS = ((230, 159, 0), (240, 228, 66))
FOG = (2, 2, 2)  # linear light; on the screen it is (20, 20, 20), the background of viser in the dark
FOLLOW_HALF_LIFE = 0.6  # seconds
REACH = 0.95  # metres around a body's middle that should stay in the picture
LANE = 3.0  # metres from one lane to the next, side by side
TRAIL_OPACITY = 0.9
_MARK = np.array([0.6, 0.55, 0.0])  # how dense, from its middle to its edge
_CAMERA, _LOOK_AT = np.array([2.1, 1.55, 4.2]), np.array([0.0, 0.92, 0.0])
_AWAY = float(np.linalg.norm(_CAMERA - _LOOK_AT))
FURTHER = 1.6  # times as far, at most, stands who looks through a picture that is higher than it is wide
_LENS, _WIDEST = float(np.radians(36.0)), float(np.radians(75.0))  # vertical fields of view
_BELOW = (0.0, -0.01, 0.0)  # the floor lies this far under the grid: planes so large meet within a millimetre or two

Cast = tuple[tuple[str, bool], ...]  # who is on stage, and whether they are a partner


class Scene:
    """What stands on the stage. One thread calls `show`, `hide` and `say`."""

    def __init__(self, server: viser.ViserServer) -> None:
        self.follow = self.trails = self.marks = True
        self.lanes: Mapping[str, str] = {}  # by partner: the dancer they are shown with, each couple by itself
        self._server = server
        self._people: _People | None = None
        self._middle: Array = np.zeros(3)
        self._stage = server.scene.add_frame("/stage", show_axes=False)
        self._grid = _set(server)
        self._notice = server.scene.add_label(
            "/notice", "", position=_LOOK_AT, anchor="center-center", font_screen_scale=1.2, visible=False
        )
        server.on_client_connect(self._receive)

    def show(self, frames: Sequence[PoseFrame], partners: Collection[str], seconds: float) -> None:
        """Draws one tick's poses, `seconds` after the last."""
        frames = side_by_side(frames, self.lanes)
        cast = tuple((frame.actor, frame.actor in partners) for frame in frames)
        with self._server.atomic():
            if self._people is None or self._people.cast != cast:
                self._enter(cast, frames)
            if self._people is not None:
                bodies = self._people.move(frames, seconds, self.trails, self.marks)
                self._glide(bodies, seconds)
                self._people.name(bodies, self._middle)
                if self.follow:
                    self._widen(bodies, seconds)

    def hide(self) -> None:
        """An empty stage."""
        self.show((), (), 0.0)

    def say(self, text: str) -> None:
        """A line in the middle of the stage; empty takes it away."""
        if text:
            self._notice.text = text
        self._notice.visible = bool(text)

    def frame_everyone(self, client: viser.ClientHandle) -> None:
        """Puts one viewer's camera where it begins: the further off, the narrower the picture."""
        further = float(np.clip(1.0 / client.camera.aspect, 1.0, FURTHER))
        client.camera.position = _LOOK_AT + further * (_CAMERA - _LOOK_AT)
        client.camera.look_at = _LOOK_AT

    def _receive(self, client: viser.ClientHandle) -> None:
        if np.allclose(client.camera.position, _CAMERA):  # nobody has said otherwise, by the address or before
            self.frame_everyone(client)

    def _enter(self, cast: Cast, frames: Sequence[PoseFrame]) -> None:
        if self._people is not None:
            self._people.leave()
        self._people = _People(self._server, cast, frames) if cast else None
        if frames:
            self._middle = _middle(np.array([frame.root_position for frame in frames]))

    def _glide(self, bodies: Sequence[Placement], seconds: float) -> None:
        if self.follow:
            middle = _middle(np.array([body.middle for body in bodies]))
            self._middle = middle + (self._middle - middle) * 0.5 ** (seconds / FOLLOW_HALF_LIFE)
        self._stage.position = -self._middle
        self._grid.position = -np.remainder(self._middle + 0.5 * CELL, CELL) + 0.5 * CELL

    def _widen(self, bodies: Sequence[Placement], seconds: float) -> None:
        """Opens every viewer's lens as far as everybody needs; where they stand and look stays theirs."""
        aside = np.array([body.middle for body in bodies]) - self._middle
        needed = float(np.hypot(aside[:, 0], aside[:, 2]).max()) + REACH
        tangent = np.tan(0.5 * _LENS)
        for client in self._server.get_clients().values():
            camera = client.camera
            away = float(np.linalg.norm(camera.position - camera.look_at))
            fits = tangent * float(np.clip(away, _AWAY, FURTHER * _AWAY)) * min(camera.aspect, 1.6)
            lens = min(2.0 * float(np.arctan(tangent * max(1.0, needed / fits))), _WIDEST)
            lens += (camera.fov - lens) * 0.5 ** (seconds / FOLLOW_HALF_LIFE)
            if abs(lens - camera.fov) > 0.002:
                camera.fov = lens


class _People:
    """The bodies of one cast, and their names."""

    def __init__(self, server: viser.ViserServer, cast: Cast, frames: Sequence[PoseFrame]) -> None:
        self.cast = cast
        bodies = _place(frames)
        colours, many = _colours(cast), (len(cast), 1)
        add = server.scene.add_batched_meshes_simple
        self._limbs = add(
            "/stage/limbs",
            *shapes.limb_mesh(),
            _all(body.limb_wxyzs for body in bodies),
            _all(body.limb_positions for body in bodies),
            batched_scales=np.tile(shapes.LIMB_SCALES, many),
            batched_colors=_toned(colours, shapes.LIMB_TONES),
            lod="off",
        )
        self._rounds = add(
            "/stage/rounds",
            *shapes.sphere_mesh(),
            _all(body.ellipsoid_wxyzs for body in bodies),
            _all(body.ellipsoid_positions for body in bodies),
            batched_scales=np.tile(shapes.ELLIPSOID_SCALES, many),
            batched_colors=_toned(colours, shapes.ELLIPSOID_TONES),
            lod="off",
        )
        self._shadows = _batch(
            server,
            "/stage/shadows",
            spot_glb(np.zeros(3), np.array(shapes.SHADOW)),
            _all(body.shadow_wxyzs for body in bodies),
            _all(body.shadow_positions for body in bodies),
            _all(body.shadow_scales for body in bodies),
        )
        joints = np.array([body.joints for body in bodies])
        self._trails, self._marks = Trails(joints), Marks(joints)
        self._lines = [
            _batch(server, f"/stage/trails/{place}", _needle(colour), *_of(self._trails, place))
            for place, colour in enumerate(_linear(colours))
        ]
        self._spots = [
            _batch(server, f"/stage/marks/{place}", spot_glb(colour, _MARK), *_of(self._marks, place))
            for place, colour in enumerate(_linear(colours))
        ]
        # Names stand beside the stage node, not on it: viser places a label by its parent of one frame ago.
        self._names = [
            server.scene.add_label(f"/names/{place}", name, anchor="bottom-center", visible=bool(name))
            for place, (name, _) in enumerate(cast)
        ]

    def move(self, frames: Sequence[PoseFrame], seconds: float, trails: bool, marks: bool) -> list[Placement]:
        bodies = _place(frames)
        self._limbs.batched_positions = _all(body.limb_positions for body in bodies)
        self._limbs.batched_wxyzs = _all(body.limb_wxyzs for body in bodies)
        self._rounds.batched_positions = _all(body.ellipsoid_positions for body in bodies)
        self._rounds.batched_wxyzs = _all(body.ellipsoid_wxyzs for body in bodies)
        self._shadows.batched_positions = _all(body.shadow_positions for body in bodies)
        self._shadows.batched_wxyzs = _all(body.shadow_wxyzs for body in bodies)
        self._shadows.batched_scales = _all(body.shadow_scales for body in bodies)
        joints = np.array([body.joints for body in bodies])
        self._trails.move(joints, seconds)
        self._marks.move(joints, seconds)
        _show(self._lines, self._trails, trails)
        _show(self._spots, self._marks, marks)
        return bodies

    def name(self, bodies: Sequence[Placement], middle: Array) -> None:
        for name, body in zip(self._names, bodies, strict=True):
            name.position = body.label_position - middle

    def leave(self) -> None:
        for handle in (self._limbs, self._rounds, self._shadows, *self._lines, *self._spots, *self._names):
            handle.remove()


def side_by_side(frames: Sequence[PoseFrame], lanes: Mapping[str, str]) -> Sequence[PoseFrame]:
    """Everybody in a lane of their own, LANE metres apart: partners each with their dancer, as `lanes` has them."""
    there = {frame.actor: frame for frame in frames}
    couples = [(lanes[name], name) for name in lanes if name in there and lanes[name] in there]
    if not couples:
        return frames
    aside = LANE * np.outer(np.arange(len(couples)) - 0.5 * (len(couples) - 1), (1.0, 0.0, 0.0))
    return [
        replace(there[name], root_position=there[name].root_position + aside[place])
        for place, couple in enumerate(couples)
        for name in couple
    ]


def _place(frames: Sequence[PoseFrame]) -> list[Placement]:
    return [shapes.place(frame.root_position, frame.rotations) for frame in frames]


def _set(server: viser.ViserServer) -> viser.GlbHandle:
    """Floor, light and the first look; the grid."""
    scene, camera = server.scene, server.initial_camera
    scene.set_up_direction("+y")
    scene.world_axes.visible = False
    scene.configure_default_lights(enabled=False)
    # No environment map and no shadow maps: without a GPU they cost more than all the rest together.
    scene.configure_environment_map(None)
    scene.add_light_directional("/light/key", color=(255, 243, 228), intensity=2.4, position=(1.6, 4.0, 2.4))
    scene.add_light_directional("/light/rim", color=(170, 195, 255), intensity=1.4, position=(-2.5, 2.2, -3.5))
    scene.add_light_hemisphere("/light/sky", sky_color=(200, 215, 255), ground_color=(60, 56, 52), intensity=1.1)
    # The floor is opaque and fades by fog. A translucent one would now and then be drawn after the shadows on it.
    scene.add_glb("/floor", floor_glb(), cast_shadow=False, receive_shadow=False, position=_BELOW)
    scene.configure_fog(7.0, 22.0, color=FOG)
    camera.position, camera.look_at, camera.fov = _CAMERA, _LOOK_AT, _LENS
    return scene.add_glb("/grid", grid_glb(), cast_shadow=False, receive_shadow=False)


def _batch(
    server: viser.ViserServer, name: str, mesh: bytes, wxyzs: Floats, positions: Floats, scales: Floats
) -> viser.BatchedGlbHandle:
    """Copies of a painted mesh."""
    return server.scene.add_batched_glb(
        name, mesh, wxyzs, positions, batched_scales=scales, lod="off", cast_shadow=False, receive_shadow=False
    )


def _needle(colour: Array) -> bytes:
    vertices, faces = needle_mesh()
    return painted(vertices, np.tile([*colour, TRAIL_OPACITY], (len(vertices), 1)), faces)


def _of(left: Trails | Marks, place: int) -> tuple[Floats, Floats, Floats]:
    return left.wxyzs[place], left.positions[place], left.scales[place]


def _show(handles: Sequence[viser.BatchedGlbHandle], left: Trails | Marks, visible: bool) -> None:
    for place, handle in enumerate(handles):
        handle.visible = visible
        if visible:
            handle.batched_wxyzs, handle.batched_positions, handle.batched_scales = _of(left, place)


def _all(parts: Iterable[Floats]) -> Floats:
    return np.concatenate(list(parts))


def _middle(positions: Array) -> Array:
    """On the floor, in the middle of the outermost two."""
    middle: Array = 0.5 * (positions.min(axis=0) + positions.max(axis=0)) * np.array([1.0, 0.0, 1.0])
    return middle


def _colours(cast: Cast) -> Array:
    """(A, 3) sRGB."""
    counts = {False: 0, True: 0}
    colours = []
    for _, is_partner in cast:
        palette = PARTNER_COLOURS if is_partner else DANCER_COLOURS
        colours.append(palette[counts[is_partner] % len(palette)])
        counts[is_partner] += 1
    return np.array(colours, dtype=np.float64)


def _linear(colours: Array) -> Array:
    """sRGB of 0 to 255 as linear light of 0 to 1."""
    return (colours / 255.0) ** 2.2


def _toned(colours: Array, tones: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(A * N, 3): everybody's colour in every tone, as linear light, which is how viser takes instances'."""
    shades = tones[None, :, None] * colours[:, None, :]
    return np.rint(255.0 * _linear(shades.reshape(-1, 3))).astype(np.uint8)

"""Clips -> FBX by Blender's own exporter, where its Python package is installed: `pip install bpy`, hundreds of MB.

`bpy` is Blender itself and keeps one scene a process; nothing of ours depends on it.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

from motion.bvh import write_bvh
from motion.clip import Clip


def missing() -> str:
    """Why FBX cannot be written here, in one line; empty when it can."""
    if importlib.util.find_spec("bpy") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"no FBX: Blender's bpy is not installed (pip install bpy, where one is built for Python {version})"
    return ""


def write_fbx(path: str | Path, clip: Clip) -> Path:
    """Write one clip, through a BVH file that Blender reads. Raises ValueError where `missing` says so."""
    if why := missing():
        raise ValueError(why)
    import bpy

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{Path(path).stem}.bvh"
        write_bvh(source, clip)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.context.scene.render.fps = round(clip.fps)
        bpy.context.scene.render.fps_base = round(clip.fps) / clip.fps
        bpy.ops.import_anim.bvh(filepath=str(source), use_fps_scale=False, update_scene_duration=True)
        kept = {"object_types": {"ARMATURE"}, "add_leaf_bones": False, "bake_anim_simplify_factor": 0.0}  # every key
        bpy.ops.export_scene.fbx(filepath=str(path), **kept)
    return Path(path)

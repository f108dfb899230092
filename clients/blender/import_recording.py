"""A recorded dance into Blender: blender --python import_recording.py -- partner.bvh [other.bvh ...]

What the show records (`send: bvh`, `--render`) is in metres, Y up, facing +Z; in Blender the dancer stands on the
floor, faces -Y and has an armature of their own. The scene takes over the recording's rate, and grows to its length.
"""

import sys
from pathlib import Path

import bpy


def load(path):
    """The new armature."""
    bpy.ops.import_anim.bvh(
        filepath=str(path),
        global_scale=1.0,
        rotate_mode="QUATERNION",
        axis_forward="-Z",
        axis_up="Y",
        update_scene_fps=True,
        update_scene_duration=True,
    )
    return bpy.context.object


if __name__ == "__main__":
    for path in sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []:
        print(f"{Path(path).name}: {load(path).name}")

"""Blender as a module imports a recording as `clients/blender` does: blender_import.py RECORDING.bvh.

Prints a line a frame: `joints`, its number twice, and where Blender has the bones' heads (metres, right-handed, Y up).
"""

import json
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients/blender"))
import import_recording


def main():
    rig = import_recording.load(sys.argv[1])
    first, last = (int(frame) for frame in rig.animation_data.action.frame_range)
    for number, frame in enumerate(range(first, last + 1), start=1):
        bpy.context.scene.frame_set(frame)
        heads = {bone.name: [bone.head.x, bone.head.z, -bone.head.y] for bone in rig.pose.bones}
        print("joints", number, number, json.dumps(heads), flush=True)


if __name__ == "__main__":
    main()

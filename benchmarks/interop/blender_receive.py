"""Blender as a module, with the receiver of `clients/blender` on an armature: blender_receive.py BODY.json PORT.

BODY.json has `names`, `parents` and `places` (metres, right-handed, Y up). Prints `ready`, then a line a frame:
`joints`, its number and time, and where Blender has the bones' heads, in the same axes. The bones' axes and rolls are
any, as in real rigs.
"""

import json
import sys
import time
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients/blender"))
import receive_vmc


def armature(body):
    rig = bpy.data.objects.new("body", bpy.data.armatures.new("body"))
    bpy.context.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for joint, (name, (x, y, z)) in enumerate(zip(body["names"], body["places"], strict=True)):
        bone = rig.data.edit_bones.new(name)
        bone.head = (x, -z, y)
        bone.tail = (x + 0.05, -z + 0.02 * (joint % 3 - 1), y + 0.03)
        bone.roll = 0.3 * joint
        if joint:
            bone.parent = rig.data.edit_bones[body["names"][body["parents"][joint]]]
    bpy.ops.object.mode_set(mode="POSE")
    return rig


def main():
    rig = armature(json.loads(Path(sys.argv[1]).read_text()))
    receiver = receive_vmc.Receiver(rig, int(sys.argv[2]), "127.0.0.1")
    print("ready", flush=True)
    while True:
        if receiver.poll():
            bpy.context.view_layer.update()
            heads = {bone.name: [bone.head.x, bone.head.z, -bone.head.y] for bone in rig.pose.bones}
            print("joints", receiver.frames, receiver.time, json.dumps(heads), flush=True)
        time.sleep(0.002)


if __name__ == "__main__":
    main()

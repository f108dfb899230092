"""A dancer on an armature, live in Blender: open this file in the Text Editor, select the armature, Run Script.

Reads VMC on one port, without an add-on. The armature stands in a T-pose at rest, facing -Y (as VRM and Mixamo imports
do); bones are found by the names in `names_of`. Run it again to change the port or the armature; `stop()` in the Python
console ends it. Garbage is counted and never stops it.
Axes: VMC's are Unity's; Blender's are (-x, -z, y), rotations (x, z, -y, w).
"""

import socket
import struct

import bpy
from mathutils import Quaternion, Vector

PORT = 39539
ON_THE_SPOT = False  # True: no steps, only the hips' height
KEYFRAMES = False  # True: write what is danced into the timeline, from the current frame on
INTERVAL = 1 / 120  # seconds between two looks at the socket

# The bones whose children they are; what a rig does not have is left out.
PARENTS = {
    "Spine": "Hips", "Chest": "Spine", "UpperChest": "Chest", "Neck": "UpperChest", "Head": "Neck",
    "LeftShoulder": "UpperChest", "LeftUpperArm": "LeftShoulder", "LeftLowerArm": "LeftUpperArm",
    "LeftHand": "LeftLowerArm", "LeftUpperLeg": "Hips", "LeftLowerLeg": "LeftUpperLeg", "LeftFoot": "LeftLowerLeg",
    "LeftToes": "LeftFoot",
}  # fmt: skip
PARENTS.update({bone.replace("Left", "Right"): parent.replace("Left", "Right") for bone, parent in PARENTS.items()})

# Mixamo calls the bones otherwise; add a rig's own names here.
MIXAMO = {
    "Hips": "Hips", "Spine": "Spine", "Chest": "Spine1", "UpperChest": "Spine2", "Neck": "Neck", "Head": "Head",
    "Shoulder": "Shoulder", "UpperArm": "Arm", "LowerArm": "ForeArm", "Hand": "Hand",
    "UpperLeg": "UpLeg", "LowerLeg": "Leg", "Foot": "Foot", "Toes": "ToeBase",
}  # fmt: skip


class Receiver:
    """One port to one armature. `poll` reads what has come and poses the newest whole frame."""

    def __init__(self, armature, port=PORT, host="0.0.0.0"):
        self.bones = {bone: rig_bone for bone in ("Hips", *PARENTS) if (rig_bone := find_bone(armature, bone))}
        if "Hips" not in self.bones:
            raise ValueError(f"{armature.name} has no bone {' or '.join(names_of('Hips'))}")
        for bone in self.bones.values():
            bone.rotation_mode = "QUATERNION"
        self.leg = sum(leg_lengths(self.bones))
        self.frames, self.broken, self.time = 0, 0, 0.0
        self.held, self.open, self.root = {}, False, (Vector(), Quaternion())
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((host, port))
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def poll(self):
        """Reads all datagrams that wait; the newest whole frame is posed. The number of frames that have come."""
        newest, before = None, self.frames
        while True:
            try:
                datagram = self.socket.recv(65536)
            except OSError:  # none waits
                break
            newest = self.read(datagram) or newest
        if newest is not None:
            self.pose(newest)
        return self.frames - before

    def read(self, datagram):
        """The frame that a datagram makes whole, or None. A bone that a frame lacks holds its last place."""
        whole = None
        try:
            for address, args in messages(datagram):
                if address == "/VMC/Ext/Bone/Pos":
                    self.held[args[0][:1].upper() + args[0][1:]] = place(args)
                    self.open = True
                elif address == "/VMC/Ext/Root/Pos":
                    self.root = place(args)
                elif address == "/VMC/Ext/T" and self.open:
                    whole, self.open, self.time = self.held, False, float(args[0])
                    self.frames += 1
        except (ValueError, IndexError, TypeError, struct.error):
            self.broken += 1
        return whole

    def pose(self, frame):
        for name, bone in self.bones.items():
            rotation = turn_of(frame, name)
            for missing in above(name, self.bones):  # a bone that the rig lacks turns those below it
                rotation = turn_of(frame, missing) @ rotation
            if name == "Hips":
                rotation = self.root[1] @ rotation
                self.place_hips(bone, frame)
            rest = bone.bone.matrix_local.to_quaternion()
            bone.rotation_quaternion = rest.inverted() @ rotation @ rest
            if KEYFRAMES:
                bone.keyframe_insert("rotation_quaternion")
        if KEYFRAMES:
            self.bones["Hips"].keyframe_insert("location")

    def place_hips(self, bone, frame):
        if "Hips" not in frame:
            return
        sender_leg = sum(frame[name][0].length for name in ("LeftLowerLeg", "LeftFoot") if name in frame)
        scale = self.leg / sender_leg if sender_leg > 0.1 and self.leg > 0.0 else 1.0
        target = scale * (self.root[0] + self.root[1] @ frame["Hips"][0])
        if ON_THE_SPOT:
            target.xy = bone.bone.head_local.xy
        bone.location = bone.bone.matrix_local.to_quaternion().inverted() @ (target - bone.bone.head_local)


def names_of(bone):
    """How rigs call a bone: Unity's name, VRM's, Mixamo's."""
    side = next((side for side in ("Left", "Right") if bone.startswith(side)), "")
    mixamo = side + MIXAMO[bone.removeprefix(side)]
    return [bone, bone[0].lower() + bone[1:], f"mixamorig:{mixamo}", mixamo]


def find_bone(armature, bone):
    return next((armature.pose.bones[name] for name in names_of(bone) if name in armature.pose.bones), None)


def turn_of(frame, name):
    return frame[name][1] if name in frame else Quaternion()


def above(name, bones):
    """The bones between this one and the next above it that the rig has, nearest first."""
    missing = []
    while (name := PARENTS.get(name)) is not None and name not in bones:
        missing.append(name)
    return missing


def leg_lengths(bones):
    for lower, upper in (("LeftLowerLeg", "LeftUpperLeg"), ("LeftFoot", "LeftLowerLeg")):
        if lower in bones and upper in bones:
            yield (bones[lower].bone.head_local - bones[upper].bone.head_local).length


def place(args):
    """Arguments 1 to 7 of a message: position and rotation in Blender's axes. Raises ValueError for no place."""
    x, y, z, qx, qy, qz, qw = (float(arg) for arg in args[1:8])
    length = (qx * qx + qy * qy + qz * qz + qw * qw) ** 0.5
    if not (1e-3 < length < 1e3 and max(abs(x), abs(y), abs(z)) < 1e3):  # written so that NaN fails
        raise ValueError(f"{args} is no place")
    return Vector((-x, -z, y)), Quaternion((qw / length, qx / length, qz / length, -qy / length))


def messages(data, depth=0):
    """(address, arguments) of an OSC datagram, bundles flattened; i f s b are read. Raises ValueError and relatives."""
    if not data.startswith(b"#bundle\0"):
        yield message(data)
        return
    if depth == 8:
        raise ValueError("bundles nested too deep")
    position = 16
    while position < len(data):
        (size,) = struct.unpack_from(">i", data, position)
        if not 0 < size <= len(data) - position - 4:
            raise ValueError(f"an element of {size} bytes")
        yield from messages(data[position + 4 : position + 4 + size], depth + 1)
        position += 4 + size


def message(data):
    address, position = text(data, 0)
    tags, position = text(data, position)
    args = []
    for tag in tags[1:]:
        if tag == "s":
            arg, position = text(data, position)
        elif tag in "if":
            (arg,) = struct.unpack_from(">" + tag, data, position)
            position += 4
        elif tag == "b":
            (size,) = struct.unpack_from(">i", data, position)
            if not 0 <= size <= len(data):
                raise ValueError(f"a blob of {size} bytes")
            arg, position = None, position + 4 + (size + 3) // 4 * 4
        else:
            raise ValueError(f"type {tag}")
        args.append(arg)
    return address, args


def text(data, start):
    end = data.index(b"\0", start)
    return data[start:end].decode("utf-8", "replace"), end + 4 - end % 4


def tick():
    receiver = bpy.app.driver_namespace.get("pas_de_deux")
    if receiver is None:
        return None  # ends the timer
    if receiver.poll() and KEYFRAMES:
        bpy.context.scene.frame_set(bpy.context.scene.frame_current + 1)
    return INTERVAL


def stop():
    receiver = bpy.app.driver_namespace.pop("pas_de_deux", None)
    if receiver is not None:
        receiver.close()


def main():
    stop()
    armature = bpy.context.object
    if armature is None or armature.type != "ARMATURE":
        raise ValueError("select an armature, then run this script")
    bpy.app.driver_namespace["pas_de_deux"] = Receiver(armature)
    bpy.app.driver_namespace["stop"] = stop
    bpy.app.timers.register(tick)
    print(f"{armature.name} dances what comes to UDP port {PORT}; stop() ends it")


if __name__ == "__main__":
    main()

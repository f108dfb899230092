"""Poses in a Script CHOP: put this file into its callbacks DAT. One channel a value, `p1/hips:tx` and so on.

TouchDesigner's Python has numpy; `pip install pyzmq` goes into the folder named in Preferences, Python 64-bit Module
Path. The show needs a `send: zmq` output. Always the newest tick, never a backlog: CONFLATE keeps one message.
Outside TouchDesigner `decode`, `channels` and `euler_degrees` run as they are. docs/wire.md has the bytes.
"""

import struct

import numpy as np

HEADER = struct.Struct("<8sHHHHIIQd")  # topic, version, header size, actors, joints, topology, 0, tick, unix time
RECORD = struct.Struct("<16sdII")  # name, sender's time, frame number, flags (1: a generated partner)
KEYS = ()  # for a show on another machine: ("C:/keys/show.key", "C:/keys/me.key_secret"), see clients/python
TOPIC = b"pose/00\0"
# The joints in the order of the stream, named as TouchDesigner's own skeleton CHOPs and `send: touchdesigner` do.
JOINTS = ["hips", "spine", "chest", "upper_chest", "neck", "head"]
JOINTS += [f"{joint}_{side}" for side in "lr" for joint in ("clavicle", "shoulder", "elbow", "wrist")]
JOINTS += [f"{joint}_{side}" for side in "lr" for joint in ("hip", "knee", "ankle", "foot")]

sockets = {}  # by address; they stay when the DAT is cooked again


def onSetupParameters(scriptOp):
    page = scriptOp.appendCustomPage("Pas de Deux")
    page.appendStr("Address", label="Address")[0].default = "tcp://127.0.0.1:39550"
    page.appendStr("Joints", label="Joints (empty: all)")[0].default = ""


def onCook(scriptOp):
    """The channels stay when no new message has come: the newest pose holds."""
    message = newest(scriptOp.par.Address.eval())
    if message is None:
        return
    wanted = scriptOp.par.Joints.eval().split()
    scriptOp.clear()
    scriptOp.numSamples = 1
    for name, value in channels(*decode(message), wanted).items():
        scriptOp.appendChan(name)[0] = value


def newest(address):
    """The newest message that has not been taken yet, or None; never waits."""
    import zmq

    if address not in sockets:
        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.setsockopt(zmq.CONFLATE, 1)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SUBSCRIBE, TOPIC)
        if KEYS:
            from zmq.auth import load_certificate

            socket.curve_serverkey = load_certificate(KEYS[0])[0]
            socket.curve_publickey, socket.curve_secretkey = load_certificate(KEYS[1])
        socket.connect(address)
        sockets[address] = socket
    try:
        return sockets[address].recv(zmq.NOBLOCK)
    except zmq.Again:
        return None


def decode(message):
    """(tick, actors): an actor is name, is_partner, frame number, root position (3,), rotations (joints, 4) xyzw."""
    topic, version, header_size, count, joints, _, _, tick, _ = HEADER.unpack_from(message)
    if topic != TOPIC or version != 1:
        raise ValueError(f"topic {topic!r} version {version}: this script reads {TOPIC!r} version 1")
    numbers = np.frombuffer(message, "<f4", offset=header_size + count * RECORD.size).reshape(count, 3 + 4 * joints)
    actors = []
    for actor in range(count):
        name, _, number, flags = RECORD.unpack_from(message, header_size + actor * RECORD.size)
        label = name.rstrip(b"\0").decode("utf-8", "replace")
        actors.append((label, bool(flags & 1), number, numbers[actor, :3], numbers[actor, 3:].reshape(joints, 4)))
    return tick, actors


def channels(tick, actors, wanted=()):
    """Channel names and values. Metres and degrees, TouchDesigner's own axes; wanted: joints, all if empty.

    `p1` is the first actor of the message, `p2` the second. tx ty tz are the hips' place in the world; rx ry rz are
    local, rotate order XYZ (Rx Ry Rz), as a COMP has it by default.
    """
    found = {"frame": float(tick)}
    for place, (_, is_partner, number, position, rotations) in enumerate(actors, start=1):
        found[f"p{place}/id"] = float(number)
        found[f"p{place}/partner"] = float(is_partner)
        degrees = euler_degrees(rotations).tolist()
        for joint, name in enumerate(JOINTS):
            if wanted and name not in wanted:
                continue
            for axis in range(3):
                if joint == 0:
                    found[f"p{place}/{name}:t{'xyz'[axis]}"] = float(position[axis])
                found[f"p{place}/{name}:r{'xyz'[axis]}"] = degrees[joint][axis]
    return found


def euler_degrees(rotations):
    """Quaternions (n, 4) xyzw to degrees (n, 3) about X, then Y, then Z: the matrix is Rz Ry Rx."""
    x, y, z, w = np.asarray(rotations, dtype=np.float64).T
    about_x = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    about_y = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    about_z = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return np.degrees(np.stack([about_x, about_y, about_z], axis=-1))

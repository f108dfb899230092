"""Poses from a running show, newest first: pip install pyzmq numpy; python subscribe.py [tcp://127.0.0.1:39550]

For a show that asks for keys: python subscribe.py tcp://192.168.1.20:39550 show.key me.key_secret
Always the newest tick, never a backlog: CONFLATE keeps one message. It must be set before connect. docs/wire.md has
the bytes.
"""

import signal
import struct
import sys

import numpy as np
import zmq
from zmq.auth import load_certificate

HEADER = struct.Struct("<8sHHHHIIQd")  # topic, version, header size, actors, joints, topology, 0, tick, unix time
RECORD = struct.Struct("<16sdII")  # name, sender's time, frame number, flags (1: a generated partner)

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.CONFLATE, 1)
socket.setsockopt(zmq.SUBSCRIBE, b"pose/00\0")
if len(sys.argv) > 3:
    socket.curve_serverkey = load_certificate(sys.argv[2])[0]
    socket.curve_publickey, socket.curve_secretkey = load_certificate(sys.argv[3])
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:39550")

while True:
    message = socket.recv()
    _, version, header_size, actors, joints, _, _, tick, send_time = HEADER.unpack_from(message)
    assert version == 1, f"this script reads version 1, not {version}"
    numbers = np.frombuffer(message, "<f4", offset=header_size + actors * RECORD.size).reshape(actors, -1)
    for actor in range(actors):
        name, sender_time, number, flags = RECORD.unpack_from(message, header_size + actor * RECORD.size)
        root_position = numbers[actor, :3]  # metres, Y up, left is +X
        rotations = numbers[actor, 3:].reshape(joints, 4)  # local, x y z w
        who = "partner" if flags & 1 else "dancer"
        print(f"tick {tick} {who} {name.rstrip(bytes(1)).decode()} #{number} hips {root_position} {rotations[0]}")

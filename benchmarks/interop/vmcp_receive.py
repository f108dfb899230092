"""The VMC receiver of the package `vmcp`, which checks every message's meaning: vmcp_receive.py PORT.

A process and an environment of its own: `vmcp` has another licence. Prints `ready`, then `bone NAME` and `time T`.
"""

import sys
import time

from vmcp.events import BoneTransformEvent, RelativeTimeEvent
from vmcp.facades import on_receive
from vmcp.osc import OSC
from vmcp.osc.backend.osc4py3 import as_comthreads as backend


def main():
    osc = OSC(backend)
    with osc.open():
        receiver = osc.create_receiver("127.0.0.1", int(sys.argv[1]), "receiver").open()
        on_receive(receiver, BoneTransformEvent, lambda event: print("bone", event.joint.value))
        on_receive(receiver, RelativeTimeEvent, lambda event: print("time", event.delta, flush=True))
        print("ready", flush=True)
        while True:
            osc.run()
            time.sleep(0.001)


if __name__ == "__main__":
    main()

"""VMC in an OSC In DAT: put this file into its callbacks DAT. A row a bone in the table `bones`, whole frames only.

For shows that have a `send: vmc` output and no other; an OSC In CHOP cannot read VMC, whose messages begin with a text.
The DAT's *Split Bundle into Messages* must be on. Axes become TouchDesigner's: right-handed, left is +X.
"""

TABLE = "bones"  # a Table DAT beside this one: name tx ty tz qx qy qz qw
HEADER = ["name", "tx", "ty", "tz", "qx", "qy", "qz", "qw"]

open_frame = {}  # bones of the frame that is still coming


def onReceiveOSC(dat, rowIndex, message, bytes, timeStamp, address, args, peer):
    frame = take(address, args)
    if frame is not None:
        table = dat.parent().op(TABLE)
        table.clear()
        table.appendRow(HEADER)
        for name, numbers in frame.items():
            table.appendRow([name, *numbers])


def take(address, args):
    """Keeps a bone; at the frame's end, which is /VMC/Ext/T, all of them by name: tx ty tz qx qy qz qw."""
    if address == "/VMC/Ext/Bone/Pos" and len(args) >= 8 and isinstance(args[0], str):
        px, py, pz, qx, qy, qz, qw = args[1:8]
        open_frame[args[0]] = [-px, py, pz, qx, -qy, -qz, qw]
    elif address == "/VMC/Ext/T" and open_frame:
        frame = dict(open_frame)
        open_frame.clear()
        return frame
    return None

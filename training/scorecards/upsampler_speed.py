"""How long ten minutes at 8x take offline, and how much memory: the command itself, in a process of its own.

Ten minutes of a take, repeated, at 15 fps become 120 fps: 72,000 frames, read from BVH and written as BVH. A small
process starts the command, because Linux counts what a parent holds as memory of its child.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from motion.bvh import write_bvh
from motion.clean import resample
from motion.clip import Clip

SECONDS, KEYS_FPS, RATE = 600.0, 15.0, 8


def ten_minutes(clip: Clip, method: str, model: Path) -> dict[str, float]:
    """Seconds, those of processors (which others' work does not lengthen as much), and the most memory in use, MB.

    NaN for what the system does not tell of a process. Raises ValueError when the command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "ten_minutes.bvh", Path(folder) / "made.bvh"
        write_bvh(source, _repeated(clip), decimals=4)
        command = [sys.executable, "-m", "exporters.upsample", str(source), "--out", str(target), "--rate", str(RATE)]
        command += ["--method", method, "--model", str(model), "--scale", "1"]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", _MEASURE, *command], capture_output=True, text=True)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise ValueError(f"ten minutes by {method} failed: {done.stderr.strip()}")
    kilobytes, busy = map(float, done.stdout.split())
    return {"ten_minutes_8x_s": seconds, "ten_minutes_8x_mb": kilobytes / 1024.0, "ten_minutes_8x_cpu_s": busy}


_MEASURE = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
if hasattr(os, "wait4"):
    _, status, usage = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    print(usage.ru_maxrss / (1024.0 if sys.platform == "darwin" else 1.0), usage.ru_utime + usage.ru_stime)
else:
    code = child.wait()
    print("nan nan")
sys.exit(code)
"""


def _repeated(clip: Clip) -> Clip:
    """Ten minutes of keys: the clip forwards and backwards, so that nothing jumps."""
    keys = resample(clip, KEYS_FPS)
    there = np.arange(len(keys))
    places = np.resize(np.concatenate([there, there[-2:0:-1]]), round(SECONDS * KEYS_FPS))
    return Clip(keys.skeleton, KEYS_FPS, keys.root_positions[places], keys.rotations[places])

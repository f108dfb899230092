#!/usr/bin/env bash
# Other people's programs on the outputs of a real show: who got how many frames, and do the joints stand where ours do.
#
#     benchmarks/interop.sh [SCRATCH] [more for python -m benchmarks.interop, as --seconds 30 or --json FILE]
#
# Installs from Debian (as root), npm and PyPI; what cannot be had is skipped by name. Everything but Debian's packages
# goes to SCRATCH (a folder in /tmp by default), which also gets the capture and three-vrm's picture. PYTHON is the
# interpreter that has this project, `python3` by default.
set -uo pipefail
cd "$(dirname "$0")/.."

scratch="/tmp/pas_de_deux_interop"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then scratch=$1; shift; fi
mkdir -p "$scratch"
python=${PYTHON:-python3}
if ! "$python" -c 'import numpy, yaml, onnxruntime, zmq' 2>/dev/null; then
    echo "$python does not have this project; pip install -e . there, or name another one in PYTHON" >&2
    exit 2
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    missing=()
    for pair in oscdump:liblo-tools tshark:tshark puredata:puredata-core mcs:mono-mcs mono:mono-runtime \
        chromium:chromium node:nodejs npm:npm; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        apt-get update -q >/dev/null 2>&1
        for package in "${missing[@]}"; do
            apt-get install -qy --no-install-recommends "$package" >/dev/null 2>&1 || echo "not installed: $package"
        done
    fi
fi

if command -v npm >/dev/null && [ ! -d "$scratch/node_modules/playwright-core" ]; then
    # playwright-core alone brings no browser: Debian's Chromium is used.
    npm install --prefix "$scratch" --ignore-scripts --no-audit --no-fund --loglevel error \
        osc@2 ws@8 three@0.180 @pixiv/three-vrm@3 playwright-core jp.keijiro.osc-jack@2 >/dev/null \
        || echo "not installed: npm's osc, ws, three, @pixiv/three-vrm, playwright-core, jp.keijiro.osc-jack"
fi

if [ ! -x "$scratch/python/bin/python" ]; then
    "$python" -m venv "$scratch/python" # of their own: vmcp has another licence, bpy wants its own Python version
    for package in 'vmcp[osc4py3]==1.0.6' 'bpy==4.5.15'; do
        "$scratch/python/bin/pip" install -q "$package" >/dev/null 2>&1 || echo "not installed: $package"
    done
fi

exec "$python" -m benchmarks.interop --scratch "$scratch" "$@"

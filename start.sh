#!/bin/sh
# Double-click it, or: ./start.sh [SHOW] [OPTIONS]. Makes the environment on the first run, then starts the show.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if ! cmp -s "$here/pyproject.toml" "$here/.venv/installed.toml"; then
    python=""
    for name in python3.13 python3.12 python3.11 python3 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$name
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer is needed: https://www.python.org/downloads/" >&2
        exit 2
    fi
    echo "First run: making the environment in $here/.venv, about a minute ..."
    "$python" -m venv "$here/.venv"
    "$here/.venv/bin/python" -m pip install --quiet --editable "$here"
    cp "$here/pyproject.toml" "$here/.venv/installed.toml"
fi
exec "$here/.venv/bin/python" "$here/run_server.py" "$@"

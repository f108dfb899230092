#!/bin/sh
# What macOS starts on a double click.
exec "$(dirname "$0")/start.sh" "$@"

"""Secrets on paper: CURVE keys for ZMQ and the token of the remote control. `python -m server.keys NAME` makes them.

A pair of keys is two files as libzmq's own tools write them: NAME.key, which everybody may know, and NAME.key_secret,
which only its owner may read. A secret that others can read is none, and is refused. No sockets here.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

LARGEST_FILE = 4096  # bytes
MOST_CLIENTS = 1024
SHORTEST_TOKEN, LONGEST_TOKEN = 8, 128


class KeyFileError(ValueError):
    """A file of keys that is not there, is none, or can be read by others: what to do, in words."""


@dataclass(frozen=True)
class Pair:
    """A public key and its secret one, in Z85: 40 characters each."""

    public: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Pair:
        return cls(*zmq.curve_keypair())


@dataclass(frozen=True)
class ClientKeys:
    """What a subscriber shows a publisher that asks for keys: its own pair; and by what it knows the publisher."""

    own: Pair
    server: bytes

    def show(self, socket: zmq.Socket[Any]) -> None:
        """To whom this socket connects from now on."""
        socket.curve_publickey, socket.curve_secretkey = self.own.public, self.own.secret
        socket.curve_serverkey = self.server


def read_pair(file: Path) -> Pair:
    """The keys in NAME.key_secret. Raises KeyFileError."""
    found = _read(file, private=True)
    return Pair(_key("public-key", found, file), _key("secret-key", found, file))


def read_public(file: Path) -> bytes:
    """The key in NAME.key. Raises KeyFileError."""
    return _key("public-key", _read(file), file)


def read_clients(folder: Path) -> frozenset[bytes]:
    """Everybody's public keys: the files *.key of a folder. Raises KeyFileError, also when there are none."""
    files = sorted(folder.glob("*.key")) if folder.is_dir() else []
    if not files or len(files) > MOST_CLIENTS:
        raise KeyFileError(
            f"{folder} has {len(files) or 'no'} files *.key; put the public keys of those who may connect there, 1 to "
            f"{MOST_CLIENTS}"
        )
    return frozenset(map(read_public, files))


def read_token(file: Path) -> str:
    """A token: the one line of a file. Raises KeyFileError."""
    token = _read(file, private=True).strip()
    if not re.fullmatch(rf"[!-~]{{{SHORTEST_TOKEN},{LONGEST_TOKEN}}}", token):
        raise KeyFileError(
            f"{file} must hold one line, a token of {SHORTEST_TOKEN} to {LONGEST_TOKEN} letters, digits and signs; "
            f"`python -m server.keys NAME --token` makes one"
        )
    return token


def _read(file: Path, private: bool = False) -> str:
    try:
        with file.open("rb") as opened:
            # Of the file that is open, not of one that has taken its place since.
            if private and os.name == "posix" and os.fstat(opened.fileno()).st_mode & 0o077:
                raise KeyFileError(f"{file} can be read by others, so it is no secret: chmod 600 {file}")
            return opened.read(LARGEST_FILE).decode("ascii")
    except OSError as error:
        raise KeyFileError(f"{file}: {error.strerror}; `python -m server.keys NAME` makes keys") from None
    except UnicodeDecodeError:
        raise KeyFileError(f"{file} is no text; `python -m server.keys NAME` makes keys") from None


def _key(name: str, text: str, file: Path) -> bytes:
    found = re.search(rf'^\s*{name}\s*=\s*"([!-~]{{40}})"\s*$', text, re.MULTILINE)
    try:
        if found is None:
            raise ValueError
        z85.decode(found[1].encode())
    except (ValueError, KeyError, struct.error):
        raise KeyFileError(f"{file} has no {name} of 40 characters; `python -m server.keys NAME` makes keys") from None
    return found[1].encode()


def make_keys(name: str, folder: Path) -> tuple[Path, Path]:
    """Writes a new pair: the public file and the secret one. Raises FileExistsError rather than lose a key."""
    pair = Pair.new()
    public, secret = folder / f"{name}.key", folder / f"{name}.key_secret"
    if public.exists():
        raise FileExistsError(17, "is there already", str(public))
    text = f'metadata\ncurve\n    public-key = "{pair.public.decode()}"\n'
    _write(secret, f'{text}    secret-key = "{pair.secret.decode()}"\n', 0o600)
    _write(public, text, 0o644)
    return public, secret


def make_token(name: str, folder: Path) -> Path:
    """Writes a new token. Raises FileExistsError."""
    file = folder / f"{name}.token"
    _write(file, f"{secrets.token_urlsafe(18)}\n", 0o600)
    return file


def _write(file: Path, text: str, mode: int) -> None:
    """A new file, which nobody else could read even while it was being written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as opened:
        opened.write(text)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m server.keys", description="Makes keys, or a token.")
    parser.add_argument("name", help="whose they are, such as `show`")
    parser.add_argument("--out", type=Path, default=Path("keys"), metavar="DIR", help="where to (default: keys)")
    parser.add_argument("--token", action="store_true", help="a token for `control: {token: FILE}` instead of keys")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", options.name):
        parser.error(f"{options.name!r} is no name: letters, digits, `_`, `-` and `.`")
    try:
        if options.token:
            print(
                f"{make_token(options.name, options.out)}: a token; whoever steers the show sends it first: /token TEXT"
            )
            return 0
        public, secret = make_keys(options.name, options.out)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}; nothing was written over", file=sys.stderr)
        return 2
    print(f"{public}: public, to be given to the others")
    print(f"{secret}: secret, stays on this machine and out of version control")
    return 0


if __name__ == "__main__":
    sys.exit(main())

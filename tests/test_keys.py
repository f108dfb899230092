"""Files of keys and tokens: who can read them, that none is lost, and what is said of one that is none."""

import os
import stat
from pathlib import Path

import pytest
import zmq.auth

from server import keys
from server.keys import KeyFileError

POSIX = pytest.mark.skipif(os.name != "posix", reason="the file system has no modes")


def test_a_pair_is_two_files_that_pyzmq_reads_as_we_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main(["show", "--out", str(tmp_path / "keys")]) == 0
    pair = keys.read_pair(tmp_path / "keys/show.key_secret")
    assert zmq.auth.load_certificate(tmp_path / "keys/show.key_secret") == (pair.public, pair.secret)
    assert keys.read_public(tmp_path / "keys/show.key") == pair.public
    assert keys.read_clients(tmp_path / "keys") == {pair.public}
    assert pair.secret.decode() not in (tmp_path / "keys/show.key").read_text() + capsys.readouterr().out


@POSIX
def test_only_the_owner_reads_a_secret(tmp_path: Path) -> None:
    _, secret = keys.make_keys("show", tmp_path)
    token = keys.make_token("desk", tmp_path)
    assert [stat.S_IMODE(file.stat().st_mode) for file in (secret, token)] == [0o600, 0o600]


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_reach_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    _, secret = keys.make_keys("show", tmp_path)
    token = keys.make_token("desk", tmp_path)
    for file, read in ((secret, keys.read_pair), (token, keys.read_token)):
        file.chmod(mode)
        with pytest.raises(KeyFileError, match=f"can be read by others, so it is no secret: chmod 600 {file}"):
            read(file)


@pytest.mark.parametrize("option", [[], ["--token"]])
def test_no_key_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]) -> None:
    command = ["show", "--out", str(tmp_path), *option]
    assert keys.main(command) == 0
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    assert keys.main(command) == 2
    assert "nothing was written over" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_half_a_pair_is_not_replaced_either(tmp_path: Path) -> None:
    _, secret = keys.make_keys("show", tmp_path)
    secret.unlink()
    assert keys.main(["show", "--out", str(tmp_path)]) == 2
    assert not secret.exists()


@pytest.mark.parametrize("name", ["../show", "", "a/b", ".hidden"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit):
        keys.main([name, "--out", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "public-key = x", f'public-key = "{"#" * 40}"', f'public-key = "{"é" * 40}"'])
def test_a_file_without_a_key_says_how_to_make_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "show.key"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(KeyFileError, match="makes keys"):
        keys.read_public(file)


def test_a_folder_without_clients_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"has no files \*\.key"):
        keys.read_clients(tmp_path)
    with pytest.raises(KeyFileError, match="No such file"):
        keys.read_pair(tmp_path / "show.key_secret")


@pytest.mark.parametrize("text", ["short", "two words together", "x" * 129, "first-line\nsecond-line"])
def test_a_token_is_one_line_that_is_not_soon_guessed(tmp_path: Path, text: str) -> None:
    file = tmp_path / "desk.token"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(KeyFileError, match="one line, a token of 8 to 128"):
        keys.read_token(file)

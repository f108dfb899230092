"""The server's command, called as from a terminal."""

import pytest

import run_server


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The last line of what it says when it refuses; before it may stand how it is used."""
    try:
        code = run_server.main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    return capsys.readouterr().err.splitlines()[-1]

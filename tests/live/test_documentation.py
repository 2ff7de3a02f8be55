"""What README and tutorial print is what their commands write: each is run, in order."""

from __future__ import annotations

import shlex

import pytest

from dmvpn_lab.cli.app import run_here
from tests.documented import commands, difference
from tests.live import labs

pytestmark = pytest.mark.live

SET_UP_DONE = {"make lab-up": "dmvpn-lab up", "make test": "", "alias dmvpn-lab=$PWD/.venv/bin/dmvpn-lab": ""}
"""Commands that do the set-up, which this test itself needs, and what is left of them after it."""


@pytest.mark.parametrize("document", ["README.md", pytest.param("docs/tutorial.md", marks=pytest.mark.long)])
def test_each_documented_command_writes_what_the_document_prints(
    document: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = [each for each in commands(labs.TOP / document) if SET_UP_DONE.get(each.command) != ""]
    assert len(found) > 5
    code, told = 0, True
    try:
        for printed in found:
            if printed.command == "echo $?":
                assert printed.lines == (str(code),)
                told = True
                continue
            assert told, f"{document} does not say that the exit code before $ {printed.command} is {code}"
            capfd.readouterr()
            code = run(printed.command)
            told = code == 0
            output = capfd.readouterr().out
            missing = difference(printed, output)
            assert missing is None, f"{document}: $ {printed.command}\nlacks\n{missing}\nbut has\n{output}"
    finally:
        labs.cli("down", "--all")
    assert told


def run(command: str) -> int:
    """Exit code of a `dmvpn-lab` command line, run in this process."""
    program, *argv = shlex.split(SET_UP_DONE.get(command, command), comments=True)
    assert program == "dmvpn-lab", command
    return run_here(argv)

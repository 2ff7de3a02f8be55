"""What these documents print is what their commands write: each is run, in order."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dmvpn_lab.cli.commands import run_here
from tests.documented import commands, difference
from tests.live import labs

pytestmark = pytest.mark.live

SET_UP_DONE = {"make lab-up": "dmvpn-lab up", "make test": "", "alias dmvpn-lab=$PWD/.venv/bin/dmvpn-lab": ""}
"""Commands that do the set-up, which this test itself needs, and what is left of them after it."""


OWN = "documented-"
"""Before the names of the labs, so that they are not those of other tests."""


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/ipsec.md",
        pytest.param("docs/phases.md", marks=pytest.mark.long),
        pytest.param("docs/tutorial.md", marks=pytest.mark.long),
    ],
)
def test_each_documented_command_writes_what_the_document_prints(
    document: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = [each for each in commands(labs.TOP / document) if SET_UP_DONE.get(each.command) != ""]
    assert len(found) > 5
    reader = Reader(folder)
    code, told = 0, True
    try:
        for printed in found:
            if printed.command == "echo $?":
                assert printed.lines == (str(code),)
                told = True
                continue
            assert told, f"{document} does not say that the exit code before $ {printed.command} is {code}"
            capfd.readouterr()
            code = reader.run(printed.command)
            told = code == 0
            output = capfd.readouterr().out.replace(OWN, "")
            missing = difference(printed, output)
            assert missing is None, f"{document}: $ {printed.command}\nlacks\n{missing}\nbut has\n{output}"
    finally:
        reader.leave()
    assert told


class Reader:
    """Does what a document says, in labs of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lab: str | None = None
        """The one that was started last."""

    def run(self, command: str) -> int:
        """Exit code of a `dmvpn-lab` command line, run in this process."""
        program, *argv = shlex.split(SET_UP_DONE.get(command, command), comments=True)
        assert program == "dmvpn-lab", command
        if argv[0] == "up":
            name = argv[1] if len(argv) > 1 else "hub-and-spoke"
            self._lab = OWN + name
            return run_here(["up", str(labs.topology(self._folder, name, self._lab)), *argv[2:]])
        assert self._lab is not None, f"$ {command} comes before a lab"
        at = argv.index("--") if "--" in argv else len(argv)
        return run_here([*argv[:at], "--lab", self._lab, *argv[at:]])

    def leave(self) -> None:
        """Nothing stays."""
        if self._lab is not None:
            labs.down(self._lab)
            assert labs.left_behind(self._lab) == []

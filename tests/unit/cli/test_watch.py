"""`watch`: one frame for scripts and documents, and what cannot be shown."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from dmvpn_lab.cli import watch
from tests.unit.agents import beside, knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run, remembered
from tests.unit.watch.answers import ANSWERS, ZERO, deck


def test_one_frame_is_one_line_of_json(run: Run, recorder: Recorder) -> None:
    remembered("ipsec")
    with beside(knowing(recorder, ANSWERS)):
        said = run("watch", "--once", "--json", "ipsec")
    assert said.code == 0
    (line,) = said.out.splitlines()
    frame = json.loads(line)["frame"]
    assert [(t["spoke"], t["state"]) for t in frame["tunnels"]] == [
        ("spoke-a", "registered"), ("spoke-b", "registered")
    ]  # fmt: skip


def printing(monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]], code: int = 0) -> list[str]:
    """A command in the place of `watch --json` that prints these lines and ends with that code."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    program = "import sys; sys.stdout.write(sys.argv[1]); sys.exit(int(sys.argv[2]))"
    labs: list[str] = []

    def argv(lab: str | None) -> list[str]:
        labs.append(lab or "")
        return [sys.executable, "-c", program, text, str(code)]

    monkeypatch.setattr(watch, "argv", argv)
    return labs


def test_one_frame_is_printed_whole_also_where_there_is_no_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs = printing(monkeypatch, [{"v": 1, "frame": deck().frame(ZERO)}])
    said = run("watch", "--once", "--lab", "ipsec")
    assert (said.code, said.err, labs) == (0, "", ["ipsec"])
    lines = said.out.splitlines()
    assert lines[0].startswith("ipsec  ")
    assert "q: quit" not in lines[0]
    assert lines[1].split() == ["TUNNEL", "cloud", "NBMA", "address", "state", "expires", "SA", "routing"]
    assert len([line for line in lines if " dynamic multicast registered" in line]) == 2


def test_the_code_of_what_follows_the_lab_is_the_commands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    printing(monkeypatch, [], 2)
    assert run("watch", "--once").code == 2
    printing(monkeypatch, [{"v": 1, "ended": "lab ipsec was taken down"}])
    said = run("watch", "--once")
    assert (said.code, said.err) == (1, "dmvpn-lab: lab ipsec was taken down\n")


def test_without_a_terminal_there_is_no_live_view(run: Run) -> None:
    said = run("watch")
    assert said.code == 2
    assert "standard output is no terminal" in said.err
    assert "--once prints one frame, --json a stream" in said.err


def test_two_names_are_a_usage_error(run: Run) -> None:
    said = run("watch", "one", "--lab", "two")
    assert (said.code, said.err.splitlines()[0]) == (2, "dmvpn-lab: one and --lab two are two labs")

"""Commands that need no lab, and the decision where a command runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dmvpn_lab import __main__, host
from dmvpn_lab.__main__ import WITH_THE_NODES
from dmvpn_lab.cli.app import app
from dmvpn_lab.host import Fact
from dmvpn_lab.machine import vm
from dmvpn_lab.spec.reference import json_schema
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run

NEED_NO_LAB = {"class", "image", "render", "doctor", "machine", "schema"}


def test_the_schema_is_printed_or_written(run: Run, tmp_path: Path) -> None:
    assert run("schema").out == json_schema()
    said = run("schema", "--output", str(tmp_path / "s.json"))
    assert (said.code, said.out) == (0, "")
    assert (tmp_path / "s.json").read_text() == json_schema()


def test_a_schema_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    said = run("schema", "--output", str(tmp_path))
    assert said.code == 3
    assert said.err.startswith(f"dmvpn-lab: cannot write {tmp_path}: Is a directory\n")


@pytest.mark.parametrize(("missing", "code"), [(True, 3), (False, 0)])
def test_doctor_fails_when_something_required_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch, missing: bool, code: int
) -> None:
    facts = [Fact("root", True, "yes"), Fact("GRE", False, "no", "nothing", required=False)]
    facts += [Fact("qemu", False, "missing: why", "apt-get install qemu")] if missing else []
    monkeypatch.setattr(host, "facts", lambda: facts)
    monkeypatch.setattr(host, "can_run_labs", lambda: False)
    said, as_json = run("doctor"), run("doctor", "--json")
    assert said.code == as_json.code == code
    document = json.loads(as_json.out)
    assert (document["native"], document["ready"]) == (False, not missing)
    assert document["facts"][0] == {
        "name": "root", "ok": True, "detail": "yes", "remedy": None, "required": True,
    }  # fmt: skip
    assert ("apt-get install qemu" in said.out) == missing
    assert ("labs cannot run here yet" in said.out) == missing


def test_each_command_has_its_place() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert commands == WITH_THE_NODES | NEED_NO_LAB


@pytest.mark.parametrize(
    ("argv", "here"),
    [
        ([], True),
        (["--version"], True),
        (["up", "--help"], True),
        (["--show-completion"], True),
        (["doctor"], True),
        (["machine", "shell", "--", "up"], True),
        (["upp"], True),
        (["-x"], True),
        (["up"], False),
        (["verify", "--json"], False),
        (["graph"], False),
        (["up", "--check", "nonsense"], True),
        (["run", "--list"], True),
        (["run", "new-address"], False),
        (["workshop", "check", "01"], True),
        (["workshop", "observe", "01"], False),
        (["watch"], True),
        (["watch", "--once", "--lab", "x"], True),
        (["watch", "--json"], False),
        (["graph", "--format", "svg", "--lab", "x", "--output", "x.svg"], False),
        (["graph", "--format=svg", "hub-and-spoke"], True),
        (["graph", "hub-and-spoke", "--output", "x.svg"], True),
        (["exec", "hub", "--", "vtysh", "--help"], False),
        (["--", "up"], True),
    ],
)
def test_without_gre_only_what_needs_the_nodes_runs_in_the_machine(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], here: bool
) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setattr(__main__, "can_run_labs", lambda: False)
    monkeypatch.setattr(__main__, "_machine_runs", lambda: True)
    assert __main__._runs_here(argv) is here


@pytest.mark.parametrize("command", sorted(WITH_THE_NODES))
def test_only_a_command_that_starts_a_lab_starts_the_machine(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setattr(__main__, "can_run_labs", lambda: False)
    monkeypatch.setattr(__main__, "_machine_runs", lambda: False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert __main__._runs_here([command]) is (command not in ("up", "pytest", "adopt", "run"))


@pytest.mark.parametrize("variable", ["DMVPN_LAB_INSIDE_MACHINE", "_DMVPN_LAB_COMPLETE"])
def test_inside_the_machine_and_for_completion_everything_runs_here(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setattr(__main__, "can_run_labs", lambda: False)
    monkeypatch.setenv(variable, "1")
    assert __main__._runs_here(["up"]) is True


@pytest.mark.parametrize("words", [["up", "x"], ["shell", "hub"], ["workshop", "observe", "01"]])
def test_with_gre_what_is_to_run_in_the_machine_does(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setenv("DMVPN_LAB_IN_MACHINE", "1")
    monkeypatch.setattr(__main__, "can_run_labs", lambda: True)
    monkeypatch.setattr(__main__, "_machine_runs", lambda: True)
    assert __main__._runs_here(words) is False


def test_with_gre_everything_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.delenv("DMVPN_LAB_IN_MACHINE", raising=False)
    monkeypatch.setattr(__main__, "can_run_labs", lambda: True)
    assert __main__._runs_here(["up"]) is True


def test_without_root_no_machine_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setattr(__main__, "can_run_labs", lambda: False)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert __main__.run(["up"]) == 3
    assert capsys.readouterr().err == (
        "dmvpn-lab: labs need root\n  what to do: run the same command with sudo\n"
    )


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["up", "hub-and-spok"],
            "there is no topology 'hub-and-spok'\n  what to do: did you mean hub-and-spoke?",
        ),
        (["up", "--backend", "dokcer"], "unknown backend 'dokcer'"),
        (["up", "--node-filter", "hub,spoke-z"], "'spoke-z' is no router of hub-and-spoke"),
        (["up", "--bakend", "docker"], "No such option: --bakend"),
        (["adopt", "/usr"], "there is no rendered lab in /usr: it has no topology.yml\n  what to do: "),
    ],
)
def test_what_is_wrong_with_the_words_is_told_before_any_machine_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setattr(__main__, "can_run_labs", lambda: False)
    monkeypatch.setattr(__main__, "_machine_runs", lambda: False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(vm, "ensure", lambda _steps: pytest.fail("a machine is started"))
    assert __main__.run(argv) == 2
    assert said in capsys.readouterr().err


def test_check_says_what_would_run_and_starts_nothing(run: Run, recorder: Recorder) -> None:
    said = run("up", "--check", "--node-filter", "hub,spoke-a")
    assert said.code == 0
    assert "left out: spoke-b, host-2" in said.err
    assert "hub-and-spoke: 5 nodes, 4 links, on netns" in said.err
    assert recorder.done == []


def test_the_decision_where_to_run_imports_nothing_heavy() -> None:
    code = (
        "import sys, dmvpn_lab.__main__\n"
        "print([m for m in ('typer', 'rich', 'pydantic', 'yaml', 'pyroute2', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_closed_standard_stream_is_nobody_and_no_error(closed: tuple[int, ...]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    done = subprocess.run(
        [sys.executable, "-m", "dmvpn_lab", "run", "--list"],
        capture_output=True,
        preexec_fn=close,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (b"new-address" in done.stdout) == (1 not in closed)


def test_what_the_host_refuses_is_told_in_a_line() -> None:
    with open("/dev/full", "wb") as full:
        argv = [sys.executable, "-m", "dmvpn_lab", "run", "--list"]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (3, b"dmvpn-lab: No space left on device\n")


def test_who_reads_no_further_is_no_error() -> None:
    argv = [sys.executable, "-m", "dmvpn_lab", "schema"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_folder_is_no_topology(run: Run, tmp_path: Path) -> None:
    said = run("up", "--check", str(tmp_path))
    assert (said.code, said.err.splitlines()[0]) == (2, f"dmvpn-lab: {tmp_path} is no file")

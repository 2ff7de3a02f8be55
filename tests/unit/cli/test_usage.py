"""Mistakes: each has exit code 2 or 3, a text that names it, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dmvpn_lab import __version__
from dmvpn_lab.backends import state
from dmvpn_lab.backends.state import LabFolder, locked
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run, remembered

ERRORS = Path(__file__).parents[2] / "errors"


def test_the_version_is_printed(run: Run) -> None:
    said = run("--version")
    assert (said.code, said.out) == (0, f"dmvpn-lab {__version__}\n")


def test_help_names_each_command_and_the_exit_codes(run: Run) -> None:
    said = run("--help")
    commands = ["up", "down", "inspect", "verify", "inject", "show", "exec", "shell", "events", "doctor",
                "machine", "schema"]  # fmt: skip
    assert said.code == 0
    assert [each for each in commands if not re.search(rf"^\W*{each}\s", said.out, re.MULTILINE)] == []
    assert "0 all passed, 1 a check failed, 2 usage or topology error, 3 the host cannot" in " ".join(
        said.out.split()
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("upp",),
        ("up", "--colour"),
        ("up", "one", "two"),
        ("show",),
        ("show", "hub"),
        ("exec",),
        ("inject", "earthquake"),
        ("inject", "undo", "first"),
        ("verify", "--junit"),
        ("machine", "explode"),
    ],
)
def test_what_is_no_command_is_a_usage_error(run: Run, argv: tuple[str, ...]) -> None:
    said = run(*argv)
    assert said.code == 2
    assert said.err.startswith(("Usage: dmvpn-lab", "Error: Option"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("render", "--to", "typo"), "'--to': 'typo' is not one of 'containerlab', 'clabernetes'."),
        (("graph", "--format", "bmp"), "'--format': 'bmp' is not one of 'mermaid', 'svg'."),
        (("inject", "undo", "first"), "'number': should be a valid integer, "),
        (("run", "--random", "1", "--faults", "0"), "'--faults': should be greater than or equal to 1"),
    ],
)
def test_a_word_that_will_not_do_is_told_without_the_library_that_found_it(
    run: Run, argv: tuple[str, ...], words: str
) -> None:
    said = run(*argv)
    assert said.code == 2
    assert f"\nError: Invalid value for {words}" in said.err


@pytest.mark.parametrize(
    "argv",
    [
        ("verify",),
        ("show", "hub", "nhrp"),
        ("exec", "hub", "--", "true"),
        ("shell", "hub"),
        ("events",),
        ("down",),
        ("inject", "list"),
        ("inject", "undo"),
        ("inject", "address-change", "spoke-a"),
    ],
)
def test_without_a_lab_each_command_says_how_to_start_one(run: Run, argv: tuple[str, ...]) -> None:
    said = run(*argv)
    assert (said.code, said.out) == (2, "")
    assert said.err == "dmvpn-lab: no lab is running\n  what to do: start one with 'dmvpn-lab up'\n"


def test_an_unknown_lab_is_told_which_run(run: Run, deck: Plan) -> None:
    said = run("verify", "--lab", "phase-9")
    assert said.code == 2
    assert said.err == ("dmvpn-lab: lab phase-9 is not running\n  what to do: running: hub-and-spoke\n")


def test_of_two_labs_one_has_to_be_named(run: Run, deck: Plan) -> None:
    remembered("phase-1")
    for argv in (("verify",), ("down",), ("show", "hub", "nhrp")):
        said = run(*argv)
        assert said.code == 2
        assert said.err == (
            "dmvpn-lab: 2 labs are running\n  what to do: say which with --lab: hub-and-spoke, phase-1\n"
        )


def test_a_lab_whose_start_was_cut_off_says_so(run: Run) -> None:
    LabFolder("half").create()
    said = run("verify")
    assert said.code == 1
    assert said.err.startswith(
        "dmvpn-lab: lab half did not finish starting\n  what to do: dmvpn-lab down half"
    )


def test_a_lab_that_is_still_being_started_is_to_be_waited_for(run: Run) -> None:
    LabFolder("half").create()
    with locked("half"):
        said = run("verify")
    assert said.code == 1
    assert said.err == "dmvpn-lab: lab half is being started or removed\n  what to do: wait for it\n"


def test_an_unknown_node_is_told_what_there_is(run: Run, deck: Plan) -> None:
    for argv in (("show", "hub-9", "nhrp"), ("exec", "hub-9", "--", "true"), ("shell", "hub-9")):
        said = run(*argv)
        assert said.code == 2
        assert "lab hub-and-spoke has no node 'hub-9'" in said.err
        assert "there are: hub, spoke-a, spoke-b, isp, host-0, host-1, host-2" in said.err


def test_a_host_has_no_nhrp_to_show(run: Run, deck: Plan) -> None:
    said = run("show", "host-1", "nhrp")
    assert (said.code, said.err) == (
        2, "dmvpn-lab: host-1 is no router\n  what to do: routers: hub, spoke-a, spoke-b\n",
    )  # fmt: skip


def test_an_unknown_thing_to_show_is_told_what_there_is(run: Run, deck: Plan) -> None:
    said = run("show", "hub", "weather")
    assert (said.code, said.err) == (
        2,
        "dmvpn-lab: cannot show 'weather'\n"
        "  what to do: one of dmvpn, nhrp, nhs, multicast, ipsec, routes, counters, status, odr, eigrp\n",
    )


def test_an_unknown_topology_is_told_which_are_bundled(run: Run) -> None:
    said = run("up", "hub-and-spook")
    assert said.code == 2
    assert said.err.startswith("dmvpn-lab: there is no topology 'hub-and-spook'\n")
    assert "hub-and-spoke" in said.err.splitlines()[1]


def test_a_wrong_topology_prints_all_its_errors_and_starts_nothing(
    run: Run, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ERRORS)
    said = run("up", "all-at-once.yml")
    assert said.code == 2
    assert said.err == f"dmvpn-lab: {(ERRORS / 'all-at-once.txt').read_text()}"
    assert recorder.done == []


def test_an_unknown_backend_is_told_which_there_are(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from dmvpn_lab import backends, controller

    monkeypatch.setattr(controller, "backend", backends.backend)
    said = run("up", "--backend", "hyperspace")
    assert said.code == 2
    assert said.err.startswith("dmvpn-lab: unknown backend 'hyperspace'\n  what to do: there is: netns")


@pytest.mark.parametrize(
    ("argv", "said_"),
    [
        (("--gap", "soon"), "'soon' is no time"),
        (("--gap", "-1s"), "'-1s' is no time"),
        (("--gap", "nan"), "'nan' is no time"),
        (("--gap", "inf"), "'inf' is no time"),
        (("--gap", "3601s"), "'3601s' is no time"),
        (("172.16.1.77",), "'172.16.1.77' is no address"),
        (("172.16.1.777/24",), "'172.16.1.777/24' is no address"),
        (("172.16.1.77/33",), "'172.16.1.77/33' is no address"),
        (("2001:db8::1/64",), "'2001:db8::1/64' is no address"),
        (("172.16.1.77/24", "--subnet"), "exclude each other"),
        (("--subnet", "--swap", "spoke-b"), "exclude each other"),
        (("172.16.1.77/24", "--swap", "spoke-b"), "exclude each other"),
        (("172.16.2.77/24",), "172.16.2.0/24 is spoke-b's subnet"),
        (("--swap", "spoke-a"), "cannot swap addresses with itself"),
        (("--swap", "hub"), "hub's NBMA address is no lease"),
    ],
)
def test_an_address_change_that_cannot_be_changes_nothing(
    run: Run, deck: Plan, recorder: Recorder, argv: tuple[str, ...], said_: str
) -> None:
    from tests.unit.cli.test_inject import agents

    with agents(deck, recorder):
        said = run("inject", "address-change", "spoke-a", *argv)
    assert said.code == 2
    assert said_ in said.err
    assert "what to do: " in said.err
    assert recorder.done == []
    assert '"in_force": []' in run("inject", "list", "--json").out


@pytest.mark.parametrize("argv", [(), ("7",), ("7", "--all")])
def test_there_is_nothing_to_undo(run: Run, deck: Plan, argv: tuple[str, ...]) -> None:
    said = run("inject", "undo", *argv)
    assert said.code == 2
    assert said.err.startswith("dmvpn-lab: there is no such fault in force\n")


def test_all_faults_of_a_lab_that_has_none_are_undone(run: Run, deck: Plan, recorder: Recorder) -> None:
    said = run("inject", "undo", "--all")
    assert (said.code, said.out, said.err) == (0, "no fault is in force\n", "")
    said = run("inject", "undo", "--all", "--json")
    assert (said.code, said.out) == (0, '{\n  "passed": true,\n  "steps": [],\n  "checks": []\n}\n')
    assert recorder.done == []


@pytest.mark.parametrize("command", [("up",), ("verify",)])
def test_a_junit_file_that_cannot_be_is_told_before_anything_happens(
    run: Run, deck: Plan, recorder: Recorder, tmp_path: Path, command: tuple[str, ...]
) -> None:
    said = run(*command, "--junit", str(tmp_path / "none" / "r.xml"))
    assert said.code == 2
    assert said.err.startswith(f"dmvpn-lab: there is no folder {tmp_path}/none\n")
    assert recorder.done == []


def test_a_name_that_points_out_of_the_labs_folder_is_refused(run: Run, deck: Plan) -> None:
    said = run("down", "../../etc")
    assert said.code == 2
    assert said.err.startswith("dmvpn-lab: '../../etc' is no lab name\n")


def test_a_host_that_cannot_run_it_has_an_exit_code_of_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(state, "LABS", tmp_path / "file" / "dmvpn-lab" / "labs")
    said = run("down", "x")
    assert said.code == 3
    assert said.err == "dmvpn-lab: cannot lock the lab: Not a directory\n  what to do: labs need root\n"


def test_an_interrupt_has_an_exit_code_of_its_own(
    run: Run, deck: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dmvpn_lab import controller

    def interrupted(name: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(controller, "find", interrupted)
    said = run("verify")
    assert (said.code, said.err.strip()) == (130, "dmvpn-lab: interrupted")

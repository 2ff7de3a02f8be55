"""`show`, `exec`, `shell`, `events`: what agents and nodes say, for people and as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest

from dmvpn_lab.answers import NhrpEntry
from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.agents import beside, remembering, saying
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run, remembered

ENTRY: NhrpEntry = {
    "interface": "tunnel0",
    "network_id": 1,
    "protocol": "10.0.0.11",
    "prefix_length": 32,
    "nbma": "172.16.1.1",
    "via": "",
    "type": "dynamic",
    "flags": ["multicast", "registered"],
    "holding_time_s": 3600,
    "expires_in_s": 3599.2,
    "created_s_ago": 0.8,
}
NHS = {
    "interface": "tunnel0",
    "protocol": "10.0.0.1",
    "nbma": "172.17.0.1",
    "state": "registered",
    "requests_sent": 3,
    "requests_failed": 1,
    "replies_received": 2,
    "renews_in_s": 1200.0,
    "last_error": None,
}
TUNNEL = {
    "interface": "tunnel0",
    "mode": "multipoint",
    "network_id": 1,
    "address": "10.0.0.1/24",
    "nbma": None,
    "up": False,
}
ANSWERS: dict[str, Any] = {
    "nhrp": [ENTRY, {**ENTRY, "protocol": "10.0.0.1", "type": "static", "expires_in_s": None}],
    "nhs": [NHS],
    "multicast": [{"interface": "tunnel0", "nbma": "172.16.1.1", "origin": "dynamic", "packets": 72}],
    "counters": {"tunnel0": {"multicast-copies": 74}},
    "status": {"version": "0.1.0", "uptime_s": 262.3, "tunnels": [TUNNEL]},
}
ROWS = {
    "nhrp": ["10.0.0.11/32", "172.16.1.1", "tunnel0", "dynamic", "multicast", "registered", "00:59:59"],
    "nhs": ["10.0.0.1", "172.17.0.1", "tunnel0", "registered", "3", "1", "2", "00:20:00"],
    "multicast": ["tunnel0", "172.16.1.1", "dynamic", "72"],
    "counters": ["tunnel0", "multicast-copies", "74"],
    "status": ["tunnel0", "multipoint", "10.0.0.1/24", "1", "down"],
}


def agent(recorder: Recorder, node: str, *lines: Any) -> AbstractContextManager[None]:
    """Something in the place of a node's agent."""
    return beside(saying(recorder, {node: lines}))


@pytest.mark.parametrize("what", ANSWERS)
def test_an_agents_answer_is_shown_as_a_table_and_as_it_is(
    run: Run, deck: Plan, recorder: Recorder, what: str
) -> None:
    with agent(recorder, "hub", {"v": 1, "id": 1, "ok": True, "result": ANSWERS[what]}):
        table = run("show", "hub", what)
        assert json.loads(run("show", "hub", what, "--json").out) == ANSWERS[what]
    assert table.code == 0
    assert table.out.splitlines()[1].split() == ROWS[what]


def test_a_static_entry_never_expires(run: Run, deck: Plan, recorder: Recorder) -> None:
    with agent(recorder, "hub", {"v": 1, "id": 1, "ok": True, "result": ANSWERS["nhrp"]}):
        assert run("show", "hub", "nhrp").out.splitlines()[2].split()[-1] == "never"


def test_an_agent_that_refuses_is_an_error_of_the_lab(run: Run, deck: Plan, recorder: Recorder) -> None:
    with agent(recorder, "hub", {"v": 1, "id": 1, "ok": False, "error": "unknown query 'nhrp'"}):
        said = run("show", "hub", "nhrp")
    assert (said.code, said.err) == (1, "dmvpn-lab: hub: its agent: unknown query 'nhrp'\n")


def test_an_agent_that_hangs_up_is_an_error_of_the_lab(run: Run, deck: Plan, recorder: Recorder) -> None:
    with agent(recorder, "hub"):
        said = run("show", "hub", "nhrp")
    assert said.code == 1
    assert "closed the connection" in said.err


def test_routes_are_those_of_the_kernel_on_a_host_too(run: Run, deck: Plan, recorder: Recorder) -> None:
    printed = json.dumps([
        {"dst": "default", "gateway": "192.168.1.1", "dev": "eth1", "flags": []},
        {"dst": "192.168.1.0/24", "dev": "eth1", "protocol": "kernel", "scope": "link", "flags": []},
    ])  # fmt: skip
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 0, printed, "")
    said = run("show", "host-1", "routes")
    assert recorder.done == [("host-1", "ip", "-json", "route", "show")]
    assert [line.split() for line in said.out.splitlines()[1:]] == [
        ["default", "192.168.1.1", "eth1"],
        ["192.168.1.0/24", "connected", "eth1", "kernel"],
    ]


@pytest.mark.parametrize(
    "command", [("true",), ("ping", "-c", "1", "10.0.0.1"), ("vtysh", "--help"), ("ls", "--json", "--lab")]
)
def test_a_command_in_a_node_gets_its_arguments_as_they_are(
    run: Run, deck: Plan, command: Sequence[str]
) -> None:
    said = run("exec", "hub", "--", *command)
    assert (said.code, said.out) == (0, f"hub {list(command)}\n")


def test_exec_returns_the_commands_own_exit_code(
    run: Run, deck: Plan, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enter(self: Recorder, lab: str, node: str, argv: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", *argv]

    monkeypatch.setattr(Recorder, "enter_argv", enter)
    assert run("exec", "hub", "--", "raise SystemExit(7)").code == 7
    assert run("exec", "hub", "--", "import os; os.kill(os.getpid(), 15)").code == 143


def test_a_shell_is_a_login_shell_in_the_node(run: Run, deck: Plan) -> None:
    assert run("shell", "spoke-a").out == "spoke-a ['bash', '--login']\n"


SENT = {"v": 1, "event": "registration-sent", "at": 1764000000.25, "interface": "tunnel0", "nhs": "10.0.0.1"}
DONE = {"v": 1, "event": "registered", "at": 1764000000.5, "interface": "tunnel0", "nhs": "10.0.0.1"}
PEER = {"v": 1, "event": "peer-registered", "at": 1764000000.375, "interface": "tunnel0"}


def test_events_of_all_routers_are_in_the_order_of_time(run: Run, deck: Plan, recorder: Recorder) -> None:
    with beside(remembering(recorder, {"hub": (PEER,), "spoke-a": (DONE, SENT), "spoke-b": ()})):
        lines = run("events").out.splitlines()
        documents = [json.loads(line) for line in run("events", "--json").out.splitlines()]
    assert [line.split()[1:3] for line in lines] == [
        ["spoke-a", "registration-sent"],
        ["hub", "peer-registered"],
        ["spoke-a", "registered"],
    ]
    assert lines[0].split()[0].endswith(":00.250")
    assert lines[0].endswith("interface=tunnel0 nhs=10.0.0.1")
    assert documents[0] == {"node": "spoke-a", **SENT}


def test_events_wait_for_an_agent_that_is_slow_to_answer(
    run: Run, deck: Plan, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Recorder.open

    async def slowly(
        self: Recorder, lab: str, node: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await asyncio.sleep(0.2)
        return await opened(self, lab, node)

    monkeypatch.setattr(Recorder, "open", slowly)
    with beside(remembering(recorder, {"hub": (PEER,), "spoke-a": (), "spoke-b": ()})):
        assert run("events").out.split()[1:3] == ["hub", "peer-registered"]


def test_the_sas_of_a_router_without_ipsec_are_refused_with_what_to_do(run: Run, deck: Plan) -> None:
    done = run("show", "hub", "ipsec")
    assert done.code != 0
    assert "hub's tunnels have no IPsec" in done.err
    assert "ipsec:" in done.err


def test_a_protected_router_without_an_sa_says_so_and_where_to_look(run: Run, recorder: Recorder) -> None:
    remembered("ipsec")
    with agent(recorder, "hub", {"v": 1, "id": 1, "ok": True, "result": []}):
        assert run("show", "hub", "ipsec").out == "hub has no SA; what is wrong: dmvpn-lab diagnose\n"
        assert json.loads(run("show", "hub", "ipsec", "--json").out) == []

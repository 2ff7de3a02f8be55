"""The port of a backend, verb by verb, and what the rest of the program builds on it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dmvpn_lab import logs
from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.testing import LiveLab

pytestmark = pytest.mark.live


def test_every_check_passes(dmvpn_lab: LiveLab) -> None:
    assert all(result.passed for result in dmvpn_lab.verify())


def test_a_command_gives_its_output_and_exit_code(dmvpn_lab: LiveLab) -> None:
    done = dmvpn_lab.exec("host-1", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.exit_code) == ("out\n", "err\n", 7)


def test_a_command_that_is_not_there_is_127(dmvpn_lab: LiveLab) -> None:
    assert dmvpn_lab.exec("host-1", "no-such-program").exit_code == 127


def test_a_command_that_takes_too_long_is_ended_with_what_it_started(dmvpn_lab: LiveLab) -> None:
    began = time.monotonic()
    with pytest.raises(LabError, match="more than 5 s"):
        dmvpn_lab.exec("host-1", "sh", "-c", "sleep 4321 & wait", timeout_s=5)
    assert time.monotonic() - began < 30
    dmvpn_lab.wait_for(lambda: dmvpn_lab.exec("host-1", "pgrep", "-f", "sleep 4321").exit_code == 1)


def test_a_node_that_is_not_there_is_named_with_those_that_are(dmvpn_lab: LiveLab) -> None:
    with pytest.raises(UsageError, match="no node 'nobody'") as error:
        dmvpn_lab.exec("nobody", "true")
    assert error.value.hint is not None
    assert "spoke-a" in error.value.hint


def test_a_file_that_is_put_is_there_whole_also_over_one_that_was(dmvpn_lab: LiveLab) -> None:
    for text in ("first\n" * 1000, "second\n"):
        dmvpn_lab.run(dmvpn_lab.lab.backend.put(dmvpn_lab.name, "host-1", "/etc/dmvpn-lab/x/y", text))
        assert dmvpn_lab.must("host-1", "cat", "/etc/dmvpn-lab/x/y") == text


def test_each_node_has_its_name_and_only_the_interfaces_of_the_plan(dmvpn_lab: LiveLab) -> None:
    for node in dmvpn_lab.plan.nodes:
        assert dmvpn_lab.must(node.name, "hostname").strip() == node.name
        links = json.loads(dmvpn_lab.must(node.name, "ip", "-json", "link", "show"))
        wanted = {"lo", *(i.name for i in node.interfaces), *(t.name for t in node.tunnels)}
        assert {link["ifname"] for link in links} == wanted


def test_nothing_of_the_lab_is_in_the_hosts_own_network(dmvpn_lab: LiveLab) -> None:
    names = {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    assert not names & {"eth1", "eth2", "eth3", "tunnel0"}


def test_the_first_process_reaps_orphans(dmvpn_lab: LiveLab) -> None:
    dmvpn_lab.must("host-1", "sh", "-c", "setsid sh -c 'sleep 0.1 & exit' & exit 0")

    def zombies() -> list[str]:
        listed = dmvpn_lab.must("host-1", "ps", "-eo", "stat=")
        return [line for line in listed.splitlines() if line.startswith("Z")]

    dmvpn_lab.wait_for(lambda: not zombies(), what="no zombie")


def test_each_program_of_a_router_has_a_log(dmvpn_lab: LiveLab) -> None:
    assert {"agent", "dhcpcd"} <= set(dmvpn_lab.run(logs.services(dmvpn_lab.lab, "spoke-a")))
    assert "eth1: leased 172.16.1.1" in dmvpn_lab.run(logs.text(dmvpn_lab.lab, "spoke-a", "dhcpcd"))


def test_a_new_address_of_a_spoke_is_got_over_and_undone(dmvpn_lab: LiveLab) -> None:
    recovery = dmvpn_lab.address_change("spoke-a", "172.16.1.77/24")
    assert {step.step for step in recovery.steps} == {"registered", "multicast", "adjacent", "reachable"}
    dmvpn_lab.undo()
    assert {e["nbma"] for e in dmvpn_lab.show("hub", "nhrp")} == {"172.16.1.1", "172.16.2.1"}


def test_an_agent_that_is_killed_is_not_missed(dmvpn_lab: LiveLab) -> None:
    (outage,) = dmvpn_lab.outage("agent-kill", "spoke-a")
    assert (outage.spoke, outage.lost) == ("spoke-a", 0)


def test_the_hub_works_at_the_address_that_docker0_has_on_the_host(dmvpn_lab: LiveLab) -> None:
    if dmvpn_lab.backend != "netns":
        assert "172.17.0.1" in Path("/proc/net/fib_trie").read_text()  # docker0's default
    dmvpn_lab.check("registration")
    (hub,) = dmvpn_lab.show("hub", "status")["tunnels"]
    assert hub["nbma"] == "172.17.0.1"
    dmvpn_lab.must("spoke-a", "ping", "-c", "1", "-W", "5", "172.17.0.1")


def test_a_node_that_was_killed_is_told_dead(dmvpn_lab: LiveLab) -> None:
    dmvpn_lab.exec("host-2", "kill", "-TERM", "1")
    dmvpn_lab.wait_for(lambda: not dmvpn_lab.whole(), what="host-2 ends")
    states = {s.name: s.running for s in dmvpn_lab.run(dmvpn_lab.lab.backend.nodes(dmvpn_lab.name))}
    assert [name for name, running in states.items() if not running] == ["host-2"]
    with pytest.raises(LabError, match="host-2 is dead"):
        dmvpn_lab.exec("host-2", "true")

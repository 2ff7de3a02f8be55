"""The lab of the deck, from its topology file to packets between its hosts."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from dmvpn_lab.testing import LiveLab
from tests.live import labs

pytestmark = pytest.mark.live


def test_every_check_of_the_deck_lab_passes(deck: LiveLab) -> None:
    results = deck.verify()
    assert Counter(r.name for r in results) == {
        "registration": 2, "multicast": 4, "adjacency": 4, "reachability": 6,
    }  # fmt: skip


def test_the_hub_has_the_bindings_that_the_deck_shows(deck: LiveLab) -> None:
    entries = {e["protocol"]: e for e in deck.show("hub", "nhrp")}
    assert {p: e["nbma"] for p, e in entries.items()} == {
        "10.0.0.11": "172.16.1.1", "10.0.0.12": "172.16.2.1",
    }  # fmt: skip
    for entry in entries.values():
        assert (entry["type"], entry["holding_time_s"]) == ("dynamic", 3600)
        assert entry["flags"] == ["multicast", "registered"]


def test_a_spoke_has_the_one_static_map_that_the_deck_configures(deck: LiveLab) -> None:
    (entry,) = deck.show("spoke-a", "nhrp")
    assert (entry["protocol"], entry["nbma"], entry["type"]) == ("10.0.0.1", "172.17.0.1", "static")
    assert entry["flags"] == ["multicast", "nhs"]


def test_routing_leaves_the_bindings_of_the_kernel_permanent(deck: LiveLab) -> None:
    deck.verify()
    lines = deck.must("hub", "ip", "neigh", "show", "dev", "tunnel0").splitlines()
    unicast = [line for line in lines if line.startswith("10.0.0.1")]
    assert len(unicast) == 2
    assert all("lladdr 172.16." in line and "PERMANENT" in line for line in unicast), unicast


def test_a_spoke_reaches_the_other_lan_through_the_hub(deck: LiveLab) -> None:
    (route,) = [r for r in deck.show("spoke-a", "routes") if r["dst"] == "192.168.2.0/24"]
    assert (route["gateway"], route["dev"]) == ("10.0.0.1", "tunnel0")


def test_up_on_a_running_lab_changes_nothing(deck: LiveLab) -> None:
    before = deck.show("hub", "status")["uptime_s"]
    again = labs.up(Path(deck.plan.source))
    assert again.started is False
    assert deck.show("hub", "status")["uptime_s"] >= before


@pytest.mark.parametrize("what", ["nhrp", "nhs", "multicast", "routes", "counters", "status"])
def test_show_prints_a_table_and_json_of_the_same_facts(deck: LiveLab, what: str) -> None:
    facts = labs.told(deck.name, "show", "spoke-a", what)
    code, table = labs.cli("show", "spoke-a", what, "--lab", deck.name)
    assert code == 0
    expected = {
        "nhrp": "172.17.0.1", "nhs": "registered", "multicast": "172.17.0.1",
        "routes": "192.168.0.0/24", "counters": "sent-registration-request", "status": "multipoint",
    }[what]  # fmt: skip
    assert expected in table
    assert facts


def test_exec_gives_back_the_exit_code_of_the_command(deck: LiveLab) -> None:
    command = labs.start_command("exec", "--lab", deck.name, "spoke-a", "--", "sh", "-c", "hostname; exit 7")
    said, _ = command.communicate(timeout=60)
    assert (command.returncode, said) == (7, "spoke-a\n")


def test_events_tell_the_story_of_a_registration_in_order(deck: LiveLab) -> None:
    code, out = labs.cli("events", "--json", "--lab", deck.name)
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    at_spoke = [e["event"] for e in events if e["node"] == "spoke-a"]
    for earlier, later in (("tunnel-up", "registration-sent"), ("registration-sent", "registered")):
        assert at_spoke.index(earlier) < at_spoke.index(later)
    assert events == sorted(events, key=lambda e: e["at"])


def test_verify_writes_json_and_junit(deck: LiveLab, tmp_path: Path) -> None:
    junit = tmp_path / "results.xml"
    document = labs.told(deck.name, "verify", "--junit", str(junit))
    assert document["passed"] is True
    assert document["lab"] == deck.name
    assert set(document["checks"][0]) == {"name", "node", "passed", "expected", "observed", "waited_s"}
    assert f'tests="{len(document["checks"])}" failures="0"' in junit.read_text()


def test_nodes_start_nothing_on_the_host(deck: LiveLab) -> None:
    listed = deck.must("hub", "ps", "axo", "comm=").split()
    assert set(listed) == {"python3", "ps"}, "nor does the plugin in them, to watch"
    assert deck.must("hub", "ip", "-br", "link").split()[0] == "lo"
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert "tunnel0" not in links
    assert "veth" not in links

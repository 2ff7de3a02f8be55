"""`diagnose` names the first broken link, with what the daemons said: every break here is a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any, TypeVar

import pytest

from dmvpn_lab.ipsec import connection
from dmvpn_lab.ipsec.config import IpsecConfig
from dmvpn_lab.render import credentials, pki
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live

HUB = "172.17.0.1"
T = TypeVar("T")
PATIENCE_S = 90.0
LIFETIME_S = 60
"""Of a certificate that runs out in a test."""
VICI = """
import json, sys
sys.path.insert(0, "/opt/dmvpn-lab/lib")
import vici, vici.exception
session = vici.Session()
for command, message in json.loads(sys.argv[1]):
    try:
        session.request(command, message)
    except vici.exception.CommandException:
        if command != "terminate":  # there may be nothing to end
            raise
"""


@pytest.fixture(scope="module")
def lab(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("diagnose"), "ipsec", "test-diagnose")
    with dmvpn_labs.running(str(path)) as made:
        made.verify()
        yield made
    assert labs.left_behind("test-diagnose") == []


def diagnose(lab: LiveLab) -> dict[str, dict[str, Any]]:
    """Spoke -> finding."""
    code, out = labs.cli("diagnose", "--json", "--lab", lab.name)
    findings = {finding["spoke"]: finding for finding in json.loads(out)}
    assert (code == 0) == all(finding["link"] == "whole" for finding in findings.values())
    return findings


def until(lab: LiveLab, spoke: str, link: str, evidence: str = "") -> dict[str, Any]:
    """The finding of a spoke once it is that one; the daemons need a moment to see it."""

    def is_so(finding: dict[str, Any]) -> bool:
        return finding["link"] == link and evidence in finding["evidence"]

    return wait_for(lambda: diagnose(lab)[spoke], is_so)


def wait_for(look: Callable[[], T], is_so: Callable[[T], bool]) -> T:
    """What is seen once it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(seen := look()):
        assert time.monotonic() < deadline, f"saw {seen} at last"
    return seen


def charon(lab: LiveLab, node: str, *commands: tuple[str, dict[str, Any]]) -> None:
    """VICI commands to a router's charon, behind its agent's back."""
    lab.must(node, "python3", "-c", VICI, json.dumps(commands))


def test_a_whole_lab_is_said_to_be_whole(lab: LiveLab) -> None:
    assert {spoke: finding["link"] for spoke, finding in diagnose(lab).items()} == {
        "spoke-a": "whole", "spoke-b": "whole",
    }  # fmt: skip


def test_a_line_without_carrier_is_the_underlays_fault(lab: LiveLab) -> None:
    lab.must("isp", "ip", "link", "set", "eth2", "down")
    try:
        finding = until(lab, "spoke-a", "underlay")
        assert finding["evidence"] == "spoke-a's eth1 has no carrier: its line is cut"
        assert finding["look_at"].startswith("dmvpn-lab exec spoke-a -- ")
        assert diagnose(lab)["spoke-b"]["link"] == "whole"
    finally:
        lab.must("isp", "ip", "link", "set", "eth2", "up")
    until(lab, "spoke-a", "whole")


def test_an_interface_that_was_set_down_is_told(lab: LiveLab) -> None:
    lab.must("spoke-a", "ip", "link", "set", "eth1", "down")
    try:
        assert until(lab, "spoke-a", "underlay")["evidence"] == "spoke-a's eth1 is down"
    finally:
        lab.must("spoke-a", "ip", "link", "set", "eth1", "up")
    until(lab, "spoke-a", "whole")


def test_a_wrong_key_is_told_with_the_hubs_own_words(lab: LiveLab) -> None:
    end = ("terminate", {"ike": connection.name_of(None), "timeout": "-1"})
    charon(lab, "spoke-b", ("load-shared", {"id": "key-0", "type": "IKE", "data": "wrong", "owners": []}))
    charon(lab, "hub", end)
    try:
        finding = until(lab, "spoke-b", "IKE", "the pre-shared keys differ")
        assert "MAC mismatched" in finding["evidence"]
    finally:
        right = {"id": "key-0", "type": "IKE", "data": "dmvpn-lab", "owners": []}
        charon(lab, "spoke-b", ("load-shared", right))
    until(lab, "spoke-b", "whole")


def test_transform_sets_that_differ_leave_ike_whole_and_the_sa_broken(lab: LiveLab) -> None:
    settings = json.loads(lab.must("hub", "cat", "/etc/dmvpn-lab/agent.json"))["ipsec"]
    right = hub_connection(settings["identity"], settings["proposals"], settings["esp_proposals"])
    wrong = hub_connection(settings["identity"], settings["proposals"], ["aes256-sha512"])
    end = ("terminate", {"ike": connection.name_of(None), "timeout": "-1"})
    charon(lab, "hub", ("load-conn", wrong), end)
    try:
        assert until(lab, "spoke-a", "SA", "the transform sets differ")["hub"] == "hub"
    finally:
        charon(lab, "hub", ("load-conn", right), end)
    until(lab, "spoke-a", "whole")


def hub_connection(identity: str, ike: list[str], esp: list[str]) -> dict[str, Any]:
    """The hub's connection for whoever comes, with that transform set."""
    config = IpsecConfig("eth1", identity, 2, tuple(ike), tuple(esp), "psk", responds=True)
    return connection.connection(config, IPv4Address(HUB), None)


@pytest.fixture(scope="module")
def certified(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    """A lab of certificates; each test leaves it whole."""
    path = labs.topology(tmp_path_factory.mktemp("expired"), "ipsec-certificates", "test-expired")
    with dmvpn_labs.running(str(path)) as made:
        until(made, "spoke-a", "whole")
        yield made
    assert labs.left_behind("test-expired") == []


def enrol(lab: LiveLab, node: str, end: datetime = pki.END) -> None:
    """Give a router a certificate that is valid until then, as its administrator does: in its file."""
    plan = lab.plan
    ca = pki.authority(credentials.seed(plan, "ca"), f"{plan.lab} lab CA")
    seed = credentials.seed(plan, f"certificate/{node}")
    made = pki.certificate(ca, seed, f"{node}.{plan.lab}.test", end=end)
    script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    lab.must(node, "python3", "-c", script, credentials.CERTIFICATE, pki.pem(made.certificate))


def restart_charon(lab: LiveLab, node: str) -> None:
    lab.must(node, "sh", "-c", "kill -9 $(cat /run/charon.pid)")


def spis(lab: LiveLab, node: str) -> set[str]:
    return {entry["spi_in"] for entry in lab.show(node, "ipsec")}


def test_a_certificate_that_has_expired_is_told_and_a_renewed_one_taken_at_the_next_try(
    certified: LiveLab,
) -> None:
    enrol(certified, "spoke-a", datetime(2021, 1, 1, tzinfo=UTC))
    restart_charon(certified, "spoke-a")
    finding = until(certified, "spoke-a", "IKE", "a certificate is not valid now")
    assert "2021" in finding["evidence"]
    assert diagnose(certified)["spoke-b"]["link"] == "whole"
    enrol(certified, "spoke-a")
    until(certified, "spoke-a", "whole")


@pytest.mark.parametrize("node", ["spoke-a", pytest.param("hub", marks=pytest.mark.long)])
def test_a_certificate_that_expires_under_a_running_sa_is_warned_of_and_then_refused(
    certified: LiveLab, node: str
) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=LIFETIME_S)
    before = spis(certified, "spoke-a")
    enrol(certified, node, end)
    restart_charon(certified, node)
    running = wait_for(lambda: spis(certified, "spoke-a"), lambda now: bool(now) and now.isdisjoint(before))
    assert until(certified, "spoke-a", "whole")["warning"] == ""
    assert datetime.now(UTC) < end, "too slow: the certificate ran out before it was seen at work"

    told = f"{node}'s certificate expired at {end:%Y-%m-%d %H:%M:%S} UTC"
    finding = wait_for(lambda: diagnose(certified)["spoke-a"], lambda seen: seen["warning"].startswith(told))
    assert finding["link"] == "whole"  # IKE looks at certificates when it authenticates only
    assert spis(certified, "spoke-a") == running
    assert diagnose(certified)["spoke-b"]["warning"] == (finding["warning"] if node == "hub" else "")

    reauthenticate(certified, "spoke-a")
    finding = until(certified, "spoke-a", "IKE", "a certificate is not valid now")
    assert "certificate invalid" in finding["evidence"]
    assert f"to {end:%b %d %H:%M:%S %Y}" in finding["evidence"]
    enrol(certified, node)
    assert until(certified, "spoke-a", "whole")["warning"] == ""


def reauthenticate(lab: LiveLab, node: str) -> None:
    """End a router's IKE SAs: the agent begins anew at once, and both ends must prove who they are."""
    charon(lab, node, ("terminate", {"ike": connection.name_of(IPv4Address(HUB)), "timeout": "-1"}))

"""Certificates and identity-bound registration: nobody registers an address that is another's."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live

HUB, SPOKE_A, SPOKE_B = "172.17.0.1", "172.16.1.1", "172.16.2.1"
SEND = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
s.sendto(bytes.fromhex("{data}"), ("tunnel0", 0x2001, 0, 0, socket.inet_aton("{hub}")))
"""


@pytest.fixture(scope="module", params=["certificates", "spoke-keys"])
def bound(
    request: pytest.FixtureRequest, dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveLab]:
    change = ("authentication: certificates", f"authentication: {request.param}")
    folder = tmp_path_factory.mktemp("identity")
    path = labs.topology(folder, "ipsec-certificates", "test-identity", change)
    with dmvpn_labs.running(str(path)) as lab:
        yield lab
    assert labs.left_behind(lab.name) == []


def claim(protocol: str, nbma: str) -> bytes:
    """A registration request for an address."""
    return encode(
        Packet(
            PacketType.REGISTRATION_REQUEST, request_id=77, source_nbma=IPv4Address(nbma),
            source_protocol=IPv4Address(protocol), destination_protocol=IPv4Address("10.0.0.1"),
            cies=(Cie(prefix_length=32, mtu=1400, holding_time_s=600),),
        )
    )  # fmt: skip


def test_the_hub_knows_each_spoke_by_the_identity_that_it_proved(bound: LiveLab) -> None:
    bound.verify()
    proved = {entry["nbma"]: entry["identity"] for entry in bound.show("hub", "ipsec")}
    assert proved == {SPOKE_A: "spoke-a.test-identity.test", SPOKE_B: "spoke-b.test-identity.test"}


@pytest.mark.parametrize("stolen", ["10.0.0.11", "10.0.0.77"])
def test_a_spoke_that_claims_an_address_that_is_not_its_own_is_refused_counted_and_shown(
    bound: LiveLab, stolen: str
) -> None:
    before = bound.show("hub", "counters")["tunnel0"]
    data = claim(stolen, SPOKE_B).hex()
    bound.must("spoke-b", "python3", "-c", SEND.format(data=data, hub=HUB))
    refused = bound.wait_for_event("peer-refused", node="hub")
    assert (refused["protocol"], refused["nbma"], refused["code"]) == (stolen, SPOKE_B, 4)
    assert refused["identity"] == "spoke-b.test-identity.test"
    after = bound.show("hub", "counters")["tunnel0"]
    for name in ("identity-mismatch", "refused-code-4"):
        assert after[name] == before.get(name, 0) + 1
    _, shown = labs.cli("show", "hub", "counters", "--lab", bound.name)
    assert "identity-mismatch" in shown
    bindings = {entry["protocol"]: entry["nbma"] for entry in bound.show("hub", "nhrp")}
    assert bindings == {"10.0.0.11": SPOKE_A, "10.0.0.12": SPOKE_B}
    answered = bound.show("spoke-b", "counters")["tunnel0"]
    assert answered["received-registration-reply"] >= 2  # its own, and the refusal

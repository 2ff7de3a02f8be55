"""What an nftables rule logs reaches a socket of the same namespace."""

from __future__ import annotations

import select
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.errors import HostError
from dmvpn_lab.linux.nflog import SNAP, Nflog
from tests.live.namespaces import Netns, wire

pytestmark = pytest.mark.live
RULES = """table inet x {
  chain in { type filter hook input priority filter; policy accept; icmp type echo-request log group 8193; }
}
"""


def test_what_a_rule_logs_arrives_with_its_first_octets_and_a_group_has_one_owner() -> None:
    near, far = Netns(), Netns()
    wire(near, "near", far, "far")
    near.add("near", "10.0.0.1/24")
    far.add("far", "10.0.0.2/24")
    near.run("nft", "-f", "-", text=RULES)
    with near.entered():
        log = Nflog(8193)
        with pytest.raises(HostError, match="another program has it"):
            Nflog(8193)
    far.run("ping", "-c", "1", "-s", "200", "-W", "2", "10.0.0.1")
    assert select.select([log], [], [], 5)[0]
    (packet,) = log.read()
    assert (packet.index, len(packet.data)) == (near.index("near"), SNAP)
    assert IPv4Address(packet.data[16:20]) == IPv4Address("10.0.0.1")
    assert log.read() == []
    log.close()
    near.close()
    far.close()

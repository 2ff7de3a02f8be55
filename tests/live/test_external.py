"""A router of another image beside ours, run by containerlab: told by its own text alone.

The image is the node image without a lab: it knows no plan, only what `docker run` may tell it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.errors import UsageError
from dmvpn_lab.testing import Labs, LiveLab

pytestmark = [pytest.mark.live, pytest.mark.long]
MIXED = """lab: test-external
clouds:
  dmvpn:
    subnet: 10.0.0.0/24
    key: 1
    holding-time: 3600
    unique: false
    routing: {protocol: none}
nodes:
  hub:
    nbma: 172.17.0.1/24
    clouds: {dmvpn: {role: hub, address: 10.0.0.1}}
  spoke-a:
    nbma: 172.16.1.1/24
    clouds: {dmvpn: {role: spoke, address: 10.0.0.11}}
    implementation: external
    external:
      image: dmvpn-lab/node:latest
      startup-path: /etc/dmvpn-lab/tunnel.json
      startup-config: |
        {"address": "$tunnel_address/$tunnel_length", "key": $tunnel_key, "source": "$nbma_interface",
         "mtu": $tunnel_mtu, "network_id": $network_id, "holding_time_s": $holding_time, "unique": false,
         "hubs": {"$hub_tunnel_address": "$hub_nbma_address"}}
      exec:
        - ip address add $nbma_address/$nbma_length dev $nbma_interface
        - ip route replace default via $gateway
  spoke-b:
    nbma: {dhcp: 172.16.2.1/24}
    clouds: {dmvpn: {role: spoke, address: 10.0.0.12}}
"""


@pytest.fixture(scope="module")
def mixed(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    """A lab of one external spoke."""
    path = tmp_path_factory.mktemp("external") / "test-external.yml"
    path.write_text(MIXED)
    with dmvpn_labs.running(str(path), "containerlab") as lab:
        yield lab


def test_it_registers_with_our_hub_and_verify_proves_it(mixed: LiveLab) -> None:
    results = mixed.verify()
    assert {r.node for r in results if r.name == "registration"} == {"spoke-a", "spoke-b"}
    mixed.must("hub", "ping", "-c", "1", "-W", "5", "10.0.0.11")


def test_a_command_runs_in_it_and_its_agent_is_not_asked(mixed: LiveLab) -> None:
    assert "172.16.1.1" in mixed.must("spoke-a", "ip", "address", "show", "eth1")
    with pytest.raises(UsageError, match="spoke-a is external"):
        mixed.show("spoke-a", "nhrp")

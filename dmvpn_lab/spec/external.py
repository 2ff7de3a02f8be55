"""What is known of routers that are not ours, by containerlab's kind."""

from __future__ import annotations

from dmvpn_lab.spec.model import External

IOS, NONE = "ios", "none"
IOS_KINDS = {
    "cisco_c8000v": ("GigabitEthernet2", "GigabitEthernet3"),
    "cisco_csr1000v": ("GigabitEthernet2", "GigabitEthernet3"),
    "cisco_iol": ("Ethernet0/1", "Ethernet0/2"),
    "cisco_vios": ("GigabitEthernet0/1", "GigabitEthernet0/2"),
}
"""Kinds that speak IOS, with the names of their first two data interfaces (containerlab's eth1, eth2)."""
VARIABLES = frozenset(
    {"hostname", "nbma_interface", "nbma_address", "nbma_length", "nbma_mask", "gateway", "lan_interface",
     "lan_address", "lan_length", "lan_mask", "lan_network", "tunnel_address", "tunnel_length",
     "tunnel_mask", "tunnel_key", "tunnel_mtu", "hub_tunnel_address", "hub_nbma_address", "network_id",
     "holding_time", "authentication", "asn", "pre_shared_key"}
)  # fmt: skip
"""What a text may name; each is empty where the plan has no such thing."""


def startup_of(told: External) -> str:
    """`ios`, `none` or a text: as written, else by kind."""
    return told.startup_config or (IOS if told.kind in IOS_KINDS else NONE)


def interfaces_of(told: External) -> tuple[str | None, str | None]:
    """The router's own names of its NBMA and LAN interface; None where nothing tells."""
    nbma, lan = IOS_KINDS.get(told.kind, (None, None))
    return told.nbma_interface or nbma, told.lan_interface or lan

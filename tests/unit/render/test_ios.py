"""The deck's configuration in IOS's words, from the plan. Commands as in Cisco's command references."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.errors import TopologyError
from dmvpn_lab.render import ios
from tests.unit.render.externals import C8000V, mixed


def section(text: str, begin: str) -> list[str]:
    """The lines of one section without their indentation."""
    lines = text.splitlines()
    first = lines.index(begin)
    return [line.strip() for line in _until_other(lines[first + 1 :])]


def _until_other(lines: list[str]) -> list[str]:
    ends = next(i for i, line in enumerate(lines) if not line.startswith(" "))
    return lines[:ends]


def hub(folder: Path, **pieces: str | int) -> str:
    plan = mixed(folder, hub=C8000V, **pieces)  # type: ignore[arg-type]
    return ios.configuration(plan, plan.node("hub"))


def spoke(folder: Path, **pieces: str | int) -> str:
    plan = mixed(folder, spoke=C8000V, **pieces)  # type: ignore[arg-type]
    return ios.configuration(plan, plan.node("spoke-a"))


def test_a_hub_is_that_of_the_deck(tmp_path: Path) -> None:
    text = hub(tmp_path)
    assert section(text, "interface Tunnel0") == [
        "bandwidth 1000",
        "ip address 10.0.0.1 255.255.255.0",
        "no ip redirects",
        "ip mtu 1400",
        "ip nhrp authentication secret",
        "ip nhrp map multicast dynamic",
        "ip nhrp network-id 1",
        "ip nhrp holdtime 3600",
        "ip tcp adjust-mss 1360",
        "ip hello-interval eigrp 1 5",
        "ip hold-time eigrp 1 15",
        "ip bandwidth-percent eigrp 1 50",
        "no ip split-horizon eigrp 1",
        "tunnel source GigabitEthernet2",
        "tunnel mode gre multipoint",
        "tunnel key 1",
        "no shutdown",
    ]
    assert section(text, "interface GigabitEthernet2") == [
        "ip address 172.17.0.1 255.255.255.0",
        "no shutdown",
    ]
    assert section(text, "router eigrp 1") == [
        "eigrp router-id 10.0.0.1",
        "network 10.0.0.0 0.0.0.255",
        "network 192.168.0.0 0.0.0.255",
        "passive-interface GigabitEthernet3",
        "no auto-summary",
    ]
    assert "ip route 0.0.0.0 0.0.0.0 172.17.0.254" in text.splitlines()
    assert text.startswith("hostname hub\n")
    assert text.endswith("\nend\n")


def test_a_spoke_is_that_of_the_deck(tmp_path: Path) -> None:
    lines = section(spoke(tmp_path), "interface Tunnel0")
    assert lines[4:12] == [
        "ip nhrp authentication secret",
        "ip nhrp map 10.0.0.1 172.17.0.1",
        "ip nhrp map multicast 172.17.0.1",
        "ip nhrp network-id 1",
        "ip nhrp holdtime 3600",
        "ip nhrp nhs 10.0.0.1",
        "ip nhrp registration no-unique",
        "ip tcp adjust-mss 1360",
    ]
    assert "no ip split-horizon eigrp 1" not in lines


def test_phase_3_is_redirect_on_the_hub_and_shortcut_on_the_spoke(tmp_path: Path) -> None:
    assert "ip nhrp redirect" in section(hub(tmp_path, phase=3), "interface Tunnel0")
    assert "ip nhrp shortcut" in section(spoke(tmp_path, phase=3), "interface Tunnel0")
    assert "ip nhrp shortcut" not in spoke(tmp_path)


def test_eigrp_has_the_options_of_the_topology(tmp_path: Path) -> None:
    routing = "{protocol: eigrp, asn: 7, stub: [connected, summary], summary: [192.168.0.0/16], "
    routing += "split-horizon: true}"
    at_hub = section(hub(tmp_path, routing=routing), "interface Tunnel0")
    assert "ip summary-address eigrp 7 192.168.0.0 255.255.0.0" in at_hub
    assert "no ip split-horizon eigrp 7" not in at_hub
    assert "eigrp stub connected summary" in section(spoke(tmp_path, routing=routing), "router eigrp 7")
    second = "{protocol: eigrp, asn: 7, next-hop-self: false}"
    assert "no ip next-hop-self eigrp 7" in hub(tmp_path, routing=second, phase=2)


def test_eigrp_has_a_key_chain_where_packets_are_authentic(tmp_path: Path) -> None:
    text = spoke(tmp_path, routing="{protocol: eigrp, authentication: md5, key-string: secret, key-id: 4}")
    assert section(text, "key chain dmvpn") == ["key 4", "key-string secret"]
    lines = section(text, "interface Tunnel0")
    assert "ip authentication mode eigrp 1 md5" in lines
    assert "ip authentication key-chain eigrp 1 dmvpn" in lines


@pytest.mark.parametrize("option", ["authentication: hmac-sha-256, key-string: x", "redistribute: [static]"])
def test_what_is_not_rendered_of_eigrp_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(TopologyError, match="not rendered for IOS"):
        spoke(tmp_path, routing=f"{{protocol: eigrp, {option}}}")


def test_ospf_has_its_network_type_and_timers(tmp_path: Path) -> None:
    routing = "{protocol: ospf, network-type: broadcast, hello: 3, dead: 9}"
    at_spoke = section(spoke(tmp_path, routing=routing, phase=2), "interface Tunnel0")
    assert {"ip ospf network broadcast", "ip ospf priority 0", "ip ospf hello-interval 3",
            "ip ospf dead-interval 9"} <= set(at_spoke)  # fmt: skip
    assert section(spoke(tmp_path, routing=routing, phase=2), "router ospf 1") == [
        "router-id 10.0.0.2",
        "network 10.0.0.0 0.0.0.255 area 0",
        "network 192.168.1.0 0.0.0.255 area 0",
        "passive-interface GigabitEthernet3",
    ]


def test_bgp_listens_on_the_hub_and_calls_it_from_the_spoke(tmp_path: Path) -> None:
    at_hub = section(hub(tmp_path, routing="{protocol: bgp}"), "router bgp 65000")
    assert "bgp listen range 10.0.0.0/24 peer-group dmvpn" in at_hub
    assert at_hub.index("neighbor dmvpn peer-group") < at_hub.index(
        "bgp listen range 10.0.0.0/24 peer-group dmvpn"
    )
    assert {"neighbor dmvpn route-reflector-client", "neighbor dmvpn next-hop-self all",
            "network 192.168.0.0 mask 255.255.255.0"} <= set(at_hub)  # fmt: skip
    at_spoke = section(spoke(tmp_path, routing="{protocol: bgp, spoke-asn: 65001}"), "router bgp 65001")
    assert {"neighbor 10.0.0.1 remote-as 65000", "neighbor 10.0.0.1 activate"} <= set(at_spoke)


def test_a_tunnel_without_routing_has_none(tmp_path: Path) -> None:
    assert "router" not in hub(tmp_path, routing="{protocol: none}")


@pytest.mark.parametrize(
    ("transform", "policy"),
    [
        ("esp-3des esp-sha-hmac", ["encryption 3des", "hash sha", "authentication pre-share", "group 2"]),
        (
            "esp-aes 256 esp-sha256-hmac",
            ["encryption aes 256", "hash sha256", "authentication pre-share", "group 19"],
        ),
    ],
)
def test_ikev1_has_the_policy_that_our_routers_propose(
    tmp_path: Path, transform: str, policy: list[str]
) -> None:
    ipsec = f"ipsec: {{transform-set: {transform}, ike: 1, pre-shared-key: cisco47}}"
    text = spoke(tmp_path, ipsec=ipsec)
    assert section(text, "crypto isakmp policy 10") == policy
    assert "crypto isakmp key cisco47 address 0.0.0.0" in text.splitlines()
    assert f"crypto ipsec transform-set dmvpn {transform}" in text.splitlines()
    assert section(text, "crypto ipsec profile dmvpn") == [
        "set transform-set dmvpn",
        "set security-association lifetime seconds 3600",
    ]
    assert "tunnel protection ipsec profile dmvpn" in section(text, "interface Tunnel0")


def test_ikev2_has_the_identity_by_which_our_routers_know_it(tmp_path: Path) -> None:
    text = hub(tmp_path, ipsec="ipsec: {transform-set: esp-gcm 256, pre-shared-key: cisco47}")
    assert section(text, "crypto ikev2 proposal dmvpn") == [
        "encryption aes-gcm-256",
        "prf sha384",
        "group 20",
    ]
    profile = section(text, "crypto ikev2 profile dmvpn")
    assert profile[:2] == [
        "match identity remote fqdn domain mixed.test",
        "identity local fqdn hub.mixed.test",
    ]
    assert section(text, "crypto ipsec profile dmvpn")[-1] == "set ikev2-profile dmvpn"


def test_a_point_to_point_spoke_has_a_destination(tmp_path: Path) -> None:
    plan = mixed(tmp_path, spoke=C8000V, ipsec="spoke-gre: point-to-point")
    lines = section(ios.configuration(plan, plan.node("spoke-a")), "interface Tunnel0")
    assert "tunnel destination 172.17.0.1" in lines
    assert "tunnel mode gre multipoint" not in lines

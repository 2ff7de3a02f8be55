"""A router's part of a lab in IOS's words: the configuration of the deck, from the same plan.

For routers that are not ours (`implementation: external`). What a vendor's router calls its
interfaces is in the plan; what containerlab's image sets up itself (users, management) is not here.
"""

from __future__ import annotations

from ipaddress import IPv4Interface

from dmvpn_lab.render.identity import domain, identity
from dmvpn_lab.routing.bgp import LISTEN_LIMIT, local_asn
from dmvpn_lab.spec.plan_types import CloudPlan, ExternalPlan, IpsecPlan, NodePlan, Plan, TunnelPlan

PROFILE = "dmvpn"
SHORTEST_DPD_S, SHORTEST_LIFETIME_S = 10, 120
"""What IOS takes at the least."""
GROUPS = {"modp1024": 2, "ecp256": 19, "ecp384": 20}
"""charon's word -> number of the Diffie-Hellman group (IANA)."""


def configuration(plan: Plan, node: NodePlan) -> str:
    """The startup configuration of an external router."""
    told = node.external
    assert told is not None
    lines = [f"hostname {node.name}", f"ip domain name {domain(plan)}", "!"]
    protection = plan.cloud(node.tunnels[0].cloud).ipsec
    if protection is not None:
        lines += [*_ipsec(plan, node, protection), "!"]
    for tunnel in node.tunnels:
        key = plan.cloud(tunnel.cloud).routing.authentication
        if key is not None:
            lines += [f"key chain {tunnel.cloud}", f" key {key.id}", f"  key-string {key.secret}", "!"]
    for number, tunnel in enumerate(node.tunnels):
        lines += [*_tunnel(plan.cloud(tunnel.cloud), tunnel, told, number, shared=len(node.tunnels) > 1), "!"]
    lines += [*_interfaces(plan, node, told), "!"]
    for protocol, render in (("eigrp", _eigrp), ("ospf", _ospf), ("bgp", _bgp)):
        tunnels = [t for t in node.tunnels if plan.cloud(t.cloud).routing.protocol == protocol]
        if tunnels:
            lines += [*render(plan, node, told, tunnels), "!"]
    lines += [f"ip route {_words(route.destination.with_netmask)} {route.via}" for route in node.routes]
    return "\n".join([*lines, "end", ""])


def _words(with_netmask: str) -> str:
    return with_netmask.replace("/", " ")


def _wildcard(address: IPv4Interface) -> str:
    return f"{address.network.network_address} {address.network.hostmask}"


def _tunnel(
    cloud: CloudPlan, tunnel: TunnelPlan, told: ExternalPlan, number: int, *, shared: bool
) -> list[str]:
    lines = [f"interface Tunnel{number}"]
    if cloud.routing.protocol == "eigrp":
        lines.append(f" bandwidth {cloud.routing.bandwidth_kbps}")
    lines += [
        f" ip address {_words(tunnel.address.with_netmask)}",
        " no ip redirects",
        f" ip mtu {cloud.mtu}",
        *_nhrp(cloud, tunnel),
        f" ip tcp adjust-mss {cloud.tcp_mss}",
        *_routing(cloud, tunnel),
        f" tunnel source {told.nbma_interface}",
    ]
    if tunnel.destination is None:
        lines.append(" tunnel mode gre multipoint")
    else:
        lines.append(f" tunnel destination {tunnel.destination}")
    if cloud.key is not None:
        lines.append(f" tunnel key {cloud.key}")
    if cloud.ipsec is not None:
        lines.append(f" tunnel protection ipsec profile {PROFILE}{' shared' if shared else ''}")
    return [*lines, " no shutdown"]


def _nhrp(cloud: CloudPlan, tunnel: TunnelPlan) -> list[str]:
    hub = tunnel.role == "hub"
    lines = [f" ip nhrp authentication {cloud.authentication}"] if cloud.authentication else []
    lines += [f" ip nhrp map {each.protocol} {each.nbma}" for each in tunnel.static_maps]
    lines += [f" ip nhrp map multicast {nbma}" for nbma in tunnel.map_multicast]
    lines += [" ip nhrp map multicast dynamic"] if tunnel.map_multicast_dynamic else []
    lines += [f" ip nhrp network-id {cloud.network_id}", f" ip nhrp holdtime {cloud.holding_time_s}"]
    lines += [f" ip nhrp nhs {nhs}" for nhs in tunnel.nhs]
    if not hub and cloud.registration_interval_s is not None:
        lines.append(f" ip nhrp registration timeout {cloud.registration_interval_s}")
    if not hub and not cloud.unique:
        lines.append(" ip nhrp registration no-unique")
    if cloud.phase == 3:
        lines.append(" ip nhrp redirect" if hub else " ip nhrp shortcut")
    return lines


def _routing(cloud: CloudPlan, tunnel: TunnelPlan) -> list[str]:
    """What a routing protocol has on the tunnel interface."""
    routing, hub = cloud.routing, tunnel.role == "hub"
    if routing.protocol == "ospf":
        lines = [f" ip ospf network {routing.network_type}"]
        if routing.network_type == "broadcast":
            lines.append(f" ip ospf priority {255 if hub else 0}")
        lines.append(f" ip ospf hello-interval {routing.hello_s}")
        return [*lines, f" ip ospf dead-interval {routing.dead_s}"]
    if routing.protocol != "eigrp":
        return []
    asn = routing.asn
    lines = [
        f" ip hello-interval eigrp {asn} {routing.hello_s}",
        f" ip hold-time eigrp {asn} {routing.dead_s}",
        f" ip bandwidth-percent eigrp {asn} {routing.bandwidth_percent}",
    ]
    if routing.authentication is not None:
        lines += [
            f" ip authentication mode eigrp {asn} md5",
            f" ip authentication key-chain eigrp {asn} {cloud.name}",
        ]
    if not hub:
        return lines
    lines += [] if routing.split_horizon else [f" no ip split-horizon eigrp {asn}"]
    lines += [] if routing.next_hop_self else [f" no ip next-hop-self eigrp {asn}"]
    return lines + [f" ip summary-address eigrp {asn} {_words(s.with_netmask)}" for s in routing.summaries]


def _interfaces(plan: Plan, node: NodePlan, told: ExternalPlan) -> list[str]:
    lines = []
    for interface in node.interfaces:
        assert interface.address is not None
        name = told.nbma_interface if interface.purpose == "nbma" else told.lan_interface
        address = _words(interface.address.with_netmask)
        lines += [f"interface {name}", f" ip address {address}", " no shutdown"]
    return lines


def _eigrp(plan: Plan, node: NodePlan, told: ExternalPlan, tunnels: list[TunnelPlan]) -> list[str]:
    routing = [plan.cloud(tunnel.cloud).routing for tunnel in tunnels]
    stub = {word for tunnel, each in zip(tunnels, routing, strict=True)
            if tunnel.role == "spoke" for word in each.stub}  # fmt: skip
    lines = [f"router eigrp {routing[0].asn}", f" eigrp router-id {node.tunnels[0].address.ip}"]
    lines += [f" network {_wildcard(tunnel.address)}" for tunnel in tunnels]
    lines += _lan(node, told, "")
    lines.append(" no auto-summary")
    return lines + ([f" eigrp stub {' '.join(sorted(stub))}"] if stub else [])


def _ospf(plan: Plan, node: NodePlan, told: ExternalPlan, tunnels: list[TunnelPlan]) -> list[str]:
    lines = ["router ospf 1", f" router-id {node.tunnels[0].address.ip}"]
    lines += [f" network {_wildcard(tunnel.address)} area 0" for tunnel in tunnels]
    return lines + _lan(node, told, " area 0")


def _lan(node: NodePlan, told: ExternalPlan, area: str) -> list[str]:
    lan = node.lan_interface()
    if lan is None or lan.address is None:
        return []
    return [f" network {_wildcard(lan.address)}{area}", f" passive-interface {told.lan_interface}"]


def _bgp(plan: Plan, node: NodePlan, told: ExternalPlan, tunnels: list[TunnelPlan]) -> list[str]:
    first = plan.cloud(tunnels[0].cloud).routing
    lines = [f"router bgp {local_asn(first, tunnels[0])}", f" bgp router-id {node.tunnels[0].address.ip}"]
    family = [" address-family ipv4"]
    lan = node.lan_interface()
    if lan is not None and lan.address is not None:
        network = lan.address.network
        family.append(f"  network {network.network_address} mask {network.netmask}")
    for tunnel in tunnels:
        routing = plan.cloud(tunnel.cloud).routing
        group, timers = tunnel.cloud, f"timers {routing.hello_s} {routing.dead_s}"
        if tunnel.role == "hub":
            lines += [
                f" bgp listen limit {LISTEN_LIMIT}",
                f" neighbor {group} peer-group",
                f" neighbor {group} remote-as {routing.spoke_asn}",
                f" neighbor {group} {timers}",
                f" bgp listen range {tunnel.address.network} peer-group {group}",
            ]
            family += [f"  neighbor {group} activate", f"  neighbor {group} route-reflector-client"]
            family += [f"  neighbor {group} next-hop-self all"] if routing.next_hop_self else []
        for hub in tunnel.nhs if tunnel.role == "spoke" else ():
            lines += [f" neighbor {hub} remote-as {routing.asn}", f" neighbor {hub} {timers}"]
            family.append(f"  neighbor {hub} activate")
    return [*lines, *family, " exit-address-family"]


def _ipsec(plan: Plan, node: NodePlan, profile: IpsecPlan) -> list[str]:
    """Policy, key, transform set, profile."""
    version = _ike_1(profile) if profile.ike == 1 else _ike_2(plan, node, profile)
    lines = [
        *version,
        f"crypto ipsec transform-set {PROFILE} {profile.transform_set}",
        " mode transport",
        f"crypto ipsec profile {PROFILE}",
        f" set transform-set {PROFILE}",
        f" set security-association lifetime seconds {max(profile.lifetime_s, SHORTEST_LIFETIME_S)}",
    ]
    return lines if profile.ike == 1 else [*lines, f" set ikev2-profile {PROFILE}"]


def _ike_1(profile: IpsecPlan) -> list[str]:
    cipher, hmac, group = profile.ike_proposal.split("-")
    length = cipher.removeprefix("aes")
    return [
        "crypto isakmp policy 10",
        f" encryption {'3des' if cipher == '3des' else f'aes {length}'}",
        f" hash {'sha' if hmac == 'sha1' else hmac}",
        " authentication pre-share",
        f" group {GROUPS[group]}",
        "crypto isakmp identity hostname",
        f"crypto isakmp key {profile.pre_shared_key} address 0.0.0.0",
        f"crypto isakmp keepalive {max(profile.dpd_s, SHORTEST_DPD_S)} periodic",
    ]


def _ike_2(plan: Plan, node: NodePlan, profile: IpsecPlan) -> list[str]:
    cipher, hmac, group = profile.ike_proposal.split("-")
    length = cipher.removeprefix("aes").removesuffix("gcm16")
    if cipher.endswith("gcm16"):
        proposal = [f" encryption aes-gcm-{length}", f" prf {hmac.removeprefix('prf')}"]
    else:
        cbc = "3des" if cipher == "3des" else f"aes-cbc-{length}"
        proposal = [f" encryption {cbc}", f" integrity {hmac}"]
    return [
        f"crypto ikev2 proposal {PROFILE}",
        *proposal,
        f" group {GROUPS[group]}",
        f"crypto ikev2 policy {PROFILE}",
        f" proposal {PROFILE}",
        f"crypto ikev2 keyring {PROFILE}",
        " peer any",
        "  address 0.0.0.0 0.0.0.0",
        f"  pre-shared-key {profile.pre_shared_key}",
        f"crypto ikev2 profile {PROFILE}",
        f" match identity remote fqdn domain {domain(plan)}",
        f" identity local fqdn {identity(plan, node)}",
        " authentication remote pre-share",
        " authentication local pre-share",
        f" keyring local {PROFILE}",
        f" dpd {max(profile.dpd_s, SHORTEST_DPD_S)} 2 on-demand",
    ]

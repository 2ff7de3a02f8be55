"""A node's configuration: what its first process sets up and starts. Read by `node/config.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dmvpn_lab.render import dhcp, ipsec
from dmvpn_lab.render.nft import nft
from dmvpn_lab.routing import protocol
from dmvpn_lab.routing.base import Program, Rendered
from dmvpn_lab.spec.plan_types import AccessPlan, InterfacePlan, NodePlan, Plan, Route

PATH = "/etc/dmvpn-lab/node.json"
ROUTER_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    # A hub sends a packet out of the tunnel that it came in by; it must not advise against that.
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
}
OVERLAY_DEFAULT_SYSCTLS = {
    # An ICMP error has the address of where the packet came in, by which it finds the overlay's route.
    "net.ipv4.icmp_errors_use_inbound_ifaddr": "1",
}
COMMON_SYSCTLS = {
    # What dhcpcd sets on its interface; in a container it cannot, and goes on where it is set already.
    "net.ipv4.conf.default.promote_secondaries": "1",
    # traceroute asks for many ICMP errors at once, and again soon: with the kernel's limit some never come.
    "net.ipv4.icmp_ratelimit": "0",
}
WISHED_SYSCTLS = {
    # No router advertisements and no MLD on the lines: captures show the lab's packets only.
    # A wish, because containerlab turns IPv6 on in every node, whatever its file says.
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
IPV6_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
    "net.ipv6.icmp.ratelimit": "0",
}
"""Of a router with IPv6 in its tunnels, and of a host with IPv6."""
IPV6_ROUTER_SYSCTLS = {"net.ipv6.conf.all.forwarding": "1"}


def node(plan: Plan, each: NodePlan) -> str:
    """The file's text."""
    rendered = routing(plan, each)
    document = {
        "version": 1,
        "hostname": each.name,
        "interfaces": [_interface(plan, each, interface) for interface in each.interfaces],
        "routes": [_route(route) for route in each.routes],
        "sysctls": _sysctls(plan, each),
        "wished_sysctls": {} if _ipv6(each) else WISHED_SYSCTLS,
        "nft": nft(plan, each),
        "directories": dict(rendered.directories),
        "services": [_service(p) for p in (*_ipsec(plan, each), *_dhcp(plan, each), *rendered.programs)],
        "agent": bool(each.tunnels),
    }
    return json.dumps(document, indent=2) + "\n"


def _sysctls(plan: Plan, each: NodePlan) -> dict[str, str]:
    ipv6 = IPV6_SYSCTLS if _ipv6(each) else {}
    if each.kind == "host":
        return COMMON_SYSCTLS | ipv6
    if ipv6:
        ipv6 = ipv6 | IPV6_ROUTER_SYSCTLS
    routing = [plan.cloud(tunnel.cloud).routing for tunnel in each.tunnels]
    default = any(r.protocol == "odr" or any(s.prefixlen == 0 for s in r.summaries) for r in routing)
    return COMMON_SYSCTLS | ROUTER_SYSCTLS | (OVERLAY_DEFAULT_SYSCTLS if default else {}) | ipv6


def _ipv6(each: NodePlan) -> bool:
    """Whether a node has IPv6 at all."""
    return any(i.ipv6 is not None for i in each.interfaces) or any(t.ipv6 is not None for t in each.tunnels)


def routing(plan: Plan, each: NodePlan) -> Rendered:
    """What the routing protocols of a router's clouds need; each protocol once."""
    names = dict.fromkeys(plan.cloud(tunnel.cloud).routing.protocol for tunnel in each.tunnels)
    files: dict[str, str] = {}
    programs: list[Program] = []
    directories: dict[str, str] = {}
    for name in names:
        one = protocol(name).render(plan, each)
        files |= one.files
        directories |= one.directories
        programs += [program for program in one.programs if program not in programs]
    return Rendered(files, tuple(programs), directories)


def _interface(plan: Plan, each: NodePlan, interface: InterfacePlan) -> dict[str, Any]:
    static = [] if interface.dhcp else [str(address) for address in interface.addresses()]
    return {
        "name": interface.name,
        "mac": interface.mac,
        "mtu": interface.mtu,
        "addresses": static,
        # A DHCP client that is not answered asks again after 4, 8, 16, 32 and 64 s (RFC 2131, section 4.1):
        # it sees no carrier until its server is there.
        "held": any(access.isp_interface == interface.name for access in _served(plan, each)),
    }


def _route(route: Route) -> dict[str, str]:
    source = {} if route.source is None else {"source": str(route.source)}
    return {"destination": str(route.destination), "via": str(route.via), **source}


def _dhcp(plan: Plan, each: NodePlan) -> Iterable[Program]:
    for access in _served(plan, each):
        yield Program(
            f"dhcp-{access.isp_interface}", dhcp.server_argv(access), ready=dhcp.server_ready(access)
        )
    for interface in each.interfaces:
        if interface.dhcp:
            _, argv = dhcp.client(interface.name)
            yield Program("dhcpcd", argv, restart=True)


def _served(plan: Plan, each: NodePlan) -> list[AccessPlan]:
    """The lines on which a node gives addresses."""
    return [access for access in plan.access if access.provider == each.name and access.dynamic]


def _ipsec(plan: Plan, each: NodePlan) -> Iterable[Program]:
    if ipsec.protection(plan, each) is not None:
        yield ipsec.program()


def _service(program: Program) -> dict[str, Any]:
    return {
        "name": program.name,
        "argv": list(program.argv),
        "after": list(program.after),
        "ready": program.ready,
        "restart": program.restart,
    }

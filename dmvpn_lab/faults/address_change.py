"""`inject address-change`: the ISP gives a spoke another NBMA address.

Done as a line does it: the carrier drops, the ISP's DHCP server has another address for the
customer, the carrier returns, and the spoke's DHCP client gets a lease. The agent is told
nothing; it notices.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults.base import Injected, Line, access_of, forget, lines, record, remember_lines
from dmvpn_lab.render import dhcp
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan import gateway_of

NAME = "address-change"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for."""

    node: str
    address: IPv4Interface | None = None
    """None: the next free one."""
    subnet: bool = False
    """A different subnet."""
    gap_s: float = 0.0
    """Seconds without any address."""
    swap: str | None = None
    """The spoke that gets the old address, and whose address this one gets."""


def new_lines(lab: RunningLab, wish: Wish) -> tuple[Line, ...]:
    """The lines as they will be. Raises UsageError for what cannot be."""
    present = lines(lab)
    old = _dynamic_line(lab, wish.node, present)
    if wish.swap is not None:
        other = _dynamic_line(lab, wish.swap, present)
        if other.router == old.router:
            raise UsageError("a spoke cannot swap addresses with itself", hint="name another spoke")
        if access_of(lab, old).provider != access_of(lab, other).provider:
            raise UsageError(
                f"{old.router} and {other.router} do not have their addresses of the same provider",
                hint="name a spoke that is behind the same NAT router, or beside none",
            )
        return (
            Line(old.router, other.customer, other.gateway),
            Line(other.router, old.customer, old.gateway),
        )
    others = [line for line in present.values() if line.router != wish.node]
    if wish.address is not None:
        return (_named(lab, old, wish.address, others),)
    if wish.subnet:
        return (_other_subnet(lab, old, others),)
    return (_next_free(old),)


async def inject(lab: RunningLab, wish: Wish) -> tuple[Injected, tuple[Line, ...]]:
    """Change the lines. Returns as soon as the carrier is back; the lease comes after."""
    after = new_lines(lab, wish)
    before = tuple(lines(lab)[line.router] for line in after)
    what = ", ".join(f"{a.router} {b.customer} -> {a.customer}" for a, b in zip(after, before, strict=True))
    undo = {"lines": [(b.router, str(b.customer), str(b.gateway)) for b in before]}
    injected = record(lab, NAME, wish.node, what, undo)
    await _change(lab, before, after, wish.gap_s)
    return injected, after


async def undo(lab: RunningLab, fault: Injected) -> tuple[Line, ...]:
    """Give the lines back what they had before."""
    after = tuple(
        Line(router, IPv4Interface(customer), IPv4Interface(gateway))
        for router, customer, gateway in fault.undo["lines"]
    )
    present = lines(lab)
    mine = {line.router for line in after}
    for line in after:
        for other in present.values():
            if other.router not in mine and other.customer.network.overlaps(line.customer.network):
                raise UsageError(
                    f"{line.customer.network} is {other.router}'s subnet now",
                    hint="undo the newer fault first",
                )
    before = tuple(present[line.router] for line in after)
    await _change(lab, before, after, 0.0)
    forget(lab, fault.number)
    return after


async def _change(lab: RunningLab, before: tuple[Line, ...], after: tuple[Line, ...], gap_s: float) -> None:
    """Carrier down, servers and gateways changed, carrier up."""
    access = {line.router: access_of(lab, line) for line in (*before, *after)}
    ends = {name: (each.provider, each.isp_interface) for name, each in access.items()}
    for line in before:
        provider, interface = ends[line.router]
        await lab.must(provider, "ip", "link", "set", interface, "down")
    for line in before:
        provider, interface = ends[line.router]
        await _stop_server(lab, provider, line)
        await lab.must(provider, "ip", "address", "flush", "dev", interface)
    remember_lines(lab, after)
    for line in after:
        provider, interface = ends[line.router]
        await lab.must(provider, "ip", "address", "add", str(line.gateway), "dev", interface)
        server = dhcp.server(access[line.router])
        await lab.backend.put(lab.plan.lab, provider, dhcp.server_path(access[line.router]), server)
        # Without --keep-in-foreground it returns once it serves.
        await lab.must(provider, "dnsmasq", f"--conf-file={dhcp.server_path(access[line.router])}")
    if gap_s:
        await asyncio.sleep(gap_s)  # the outage that the user asked for
    for line in after:
        provider, interface = ends[line.router]
        await lab.must(provider, "ip", "link", "set", interface, "up")


async def _stop_server(lab: RunningLab, provider: str, line: Line) -> None:
    """End the line's DHCP server, by its PID file."""
    path = dhcp.server_ready(access_of(lab, line))
    pid = (await lab.exec(provider, "cat", path)).stdout.strip()
    if pid:
        await lab.exec(provider, "kill", pid)
        await lab.exec(provider, "rm", "-f", path)


def _dynamic_line(lab: RunningLab, node: str, present: dict[str, Line]) -> Line:
    lab.router(node)
    if not any(a.router == node and a.dynamic for a in lab.plan.access):
        dynamic = ", ".join(a.router for a in lab.plan.access if a.dynamic) or "none"
        raise UsageError(f"{node}'s NBMA address is no lease", hint=f"routers with a lease: {dynamic}")
    return present[node]


def _next_free(old: Line) -> Line:
    """The next host address of the same subnet, from the first again after the last."""
    network = old.customer.network
    first, hosts = int(network.network_address) + 1, network.num_addresses - 2
    for step in range(1, hosts):
        free = IPv4Address(first + (int(old.customer.ip) - first + step) % hosts)
        if free != old.gateway.ip:
            return Line(old.router, IPv4Interface((free, network.prefixlen)), old.gateway)
    raise UsageError(f"no other address is free in {network}", hint="use --subnet, or name one in another")


def _named(lab: RunningLab, old: Line, address: IPv4Interface, others: list[Line]) -> Line:
    network = address.network
    ends = (network.network_address, network.broadcast_address)
    if address.ip in ends or not _unicast(address.ip):
        raise UsageError(f"{address} is no host address", hint="such as 172.16.1.77/24")
    if address.ip == old.customer.ip:
        raise UsageError(f"{old.router} has {address.ip} already", hint="name another address")
    for other in others:
        if network.overlaps(other.customer.network):
            raise UsageError(
                f"{network} is {other.router}'s subnet", hint="use --swap to exchange two spokes' addresses"
            )
    same = network == old.customer.network
    if any(network.overlaps(each) for each in _inside(lab)):
        raise UsageError(f"{network} overlaps a LAN or a tunnel subnet", hint="name one that is nobody's")
    gateway = old.gateway if same and address.ip != old.gateway.ip else gateway_of(address)
    return Line(old.router, address, gateway)


def _other_subnet(lab: RunningLab, old: Line, others: list[Line]) -> Line:
    """The next subnet of the same size that is nobody's."""
    taken = [line.customer.network for line in (old, *others)] + _inside(lab)
    taken += [access.customer.network for access in lab.plan.access]
    network, size = old.customer.network, old.customer.network.num_addresses
    offset = int(old.customer.ip) - int(network.network_address)
    for step in range(1, 4096):
        start = (int(network.network_address) + step * size) % (1 << 32)
        customer = IPv4Interface((start + offset, network.prefixlen))
        if _unicast(customer.ip) and not any(customer.network.overlaps(each) for each in taken):
            return Line(old.router, customer, gateway_of(customer))
    raise UsageError("no free subnet is left near this one", hint="name an address: ADDRESS/LENGTH")


def _inside(lab: RunningLab) -> list[IPv4Network]:
    """The subnets that are no NBMA subnet: tunnels and LANs."""
    lans = [
        i.address.network for n in lab.plan.nodes for i in n.interfaces if i.purpose == "lan" and i.address
    ]
    return [cloud.subnet for cloud in lab.plan.clouds] + lans


def _unicast(address: IPv4Address) -> bool:
    return 0 < address.packed[0] < 224 and not address.is_loopback

"""The first broken link between a spoke and a hub, with the evidence.

    underlay -> IKE -> SA -> registration -> multicast map -> adjacency -> route -> reachability

Each rests on the one before, so what comes after a broken link tells nothing and is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from dmvpn_lab import charon_log, validity
from dmvpn_lab.checks.adjacency import adjacent
from dmvpn_lab.checks.encryption import behind_one_address, rivals, shared
from dmvpn_lab.checks.outside import outside
from dmvpn_lab.checks.reachability import forwarded
from dmvpn_lab.checks.ways import host_behind
from dmvpn_lab.errors import LabError
from dmvpn_lab.render.identity import identity
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, TunnelPlan

LOG = "/run/dmvpn-lab/log/charon.log"
LOG_LINES = "600"
"""A minute or two, for charon tells of each DPD message."""
WHOLE = "whole"
REFUSED = {
    "auth-missing": "without authentication",
    "auth-off": "with authentication, which is off here",
    "auth-other-key-id": "with another key ID",
    "auth-other-type": "with another type of authentication",
    "auth-replayed": "that were replayed",
    "auth-wrong-digest": "with a wrong digest: the keys differ",
    "k-value-mismatch": "with other K-values",
    "other-asn": "of another AS",
}
"""Counters of EIGRP -> what was wrong with the packets."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How far the chain between a spoke and a hub holds."""

    cloud: str
    spoke: str
    hub: str
    link: str
    """The first broken one, or `whole`."""
    evidence: str
    look_at: str
    """A command that shows more; empty when it is whole."""
    warning: str = ""
    """What will break it, although it is whole."""

    @property
    def broken(self) -> bool:
        """Whether something is."""
        return self.link != WHOLE


@dataclass(frozen=True, slots=True)
class Broken:
    """What a step found wrong."""

    link: str
    evidence: str
    look_at: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A spoke and a hub of a cloud, and where the spoke is."""

    lab: RunningLab
    cloud: CloudPlan
    spoke: NodePlan
    at_spoke: TunnelPlan
    hub: NodePlan
    at_hub: TunnelPlan
    spoke_nbma: str
    spoke_outside: str
    """The same, or the address of the NAT router before it."""
    hub_nbma: str


Step = Callable[[Pair], Awaitable[Broken | None]]


async def diagnose(lab: RunningLab) -> AsyncIterator[Finding]:
    """One finding for each spoke and hub of each cloud."""
    for cloud in lab.plan.clouds:
        for hub, at_hub in lab.plan.ours(cloud.name, "hub"):
            for spoke, at_spoke in lab.plan.ours(cloud.name, "spoke"):
                broken = await _walk(lab, cloud, (spoke, at_spoke), (hub, at_hub))
                if broken is None:
                    warning = await validity.warning(lab, spoke.name, hub.name)
                    yield Finding(cloud.name, spoke.name, hub.name, WHOLE, "every link holds", "", warning)
                else:
                    yield Finding(cloud.name, spoke.name, hub.name,
                                  broken.link, broken.evidence, broken.look_at)  # fmt: skip


async def _walk(
    lab: RunningLab, cloud: CloudPlan, spoke: tuple[NodePlan, TunnelPlan], hub: tuple[NodePlan, TunnelPlan]
) -> Broken | None:
    """The first broken link; None when all hold."""
    addresses = []
    for node, tunnel in (spoke, hub):
        try:
            status = await lab.query(node.name, "status")
        except LabError as error:
            return Broken("agent", str(error), f"dmvpn-lab exec {node.name} -- ps ax")
        cut = await _line(lab, node.name, tunnel.source)
        if cut is not None:
            return cut
        nbma = next(t["nbma"] for t in status["tunnels"] if t["interface"] == tunnel.name)
        if nbma is None:
            return Broken("underlay", f"{node.name}'s {tunnel.source} has no address",
                          f"dmvpn-lab exec {node.name} -- cat /run/dmvpn-lab/log/dhcpcd.log")  # fmt: skip
        addresses.append(nbma)
    seen = await outside(lab, spoke[0].name, spoke[1].name)
    pair = Pair(lab, cloud, *spoke, *hub, addresses[0], seen or addresses[0], addresses[1])
    for step in STEPS:
        broken = await step(pair)
        if broken is not None:
            return broken
    return None


async def _line(lab: RunningLab, node: str, interface: str) -> Broken | None:
    """What the kernel says of a NBMA interface: without a carrier nothing else matters."""
    done = await lab.exec(node, "ip", "-json", "link", "show", "dev", interface)
    flags = json.loads(done.stdout)[0]["flags"] if done.exit_code == 0 else None
    if flags is None:
        wrong = "is not there"
    elif "UP" not in flags:
        wrong = "is down"
    elif "LOWER_UP" not in flags:
        wrong = "has no carrier: its line is cut"
    else:
        return None
    look_at = f"dmvpn-lab exec {node} -- ip -statistics link"
    return Broken("underlay", f"{node}'s {interface} {wrong}", look_at)


async def _underlay(pair: Pair) -> Broken | None:
    argv = ("ping", "-n", "-c", "1", "-W", "3", "-I", pair.spoke_nbma, pair.hub_nbma)
    done = await pair.lab.exec(pair.spoke.name, *argv)
    if done.exit_code == 0:
        return None
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return Broken("underlay", f"{pair.spoke_nbma} does not reach {pair.hub_nbma}: {said[-1] if said else ''}",
                  f"dmvpn-lab exec {pair.spoke.name} -- ip route get {pair.hub_nbma}")  # fmt: skip


async def _ipsec(pair: Pair) -> Broken | None:
    """IKE and SA: charon's own list tells one from the other, its log tells why."""
    if pair.cloud.ipsec is None:
        return None
    if await shared(pair.lab, pair.spoke.name, pair.hub.name):
        others = await rivals(pair.lab, pair.spoke.name, pair.hub.name)
        look = f"dmvpn-lab show {pair.hub.name} ipsec"
        return Broken("SA", behind_one_address(others), look) if others else None
    look_at = f"dmvpn-lab exec {pair.spoke.name} -- tail -n 40 {LOG}"
    for node in (pair.spoke, pair.hub):
        listed = await pair.lab.exec(node.name, "swanctl", "--list-sas")
        if listed.exit_code != 0:
            return Broken("IKE", f"{node.name}: charon does not answer", look_at)
        if node is pair.spoke:
            established = f"@ {pair.hub_nbma}" in listed.stdout and "ESTABLISHED" in listed.stdout
    found = charon_log.reason(await _log(pair, pair.hub), await _log(pair, pair.spoke))
    evidence = f"{found.meaning} ({found.line})" if found else "no SA that both have, and no word of why"
    return Broken("SA" if established else "IKE", evidence, look_at)


async def _log(pair: Pair, node: NodePlan) -> list[str]:
    """The end of a router's charon log, without what names other routers."""
    done = await pair.lab.exec(node.name, "tail", "-n", LOG_LINES, LOG)
    others = [identity(pair.lab.plan, each) for each in pair.lab.plan.routers()
              if each.name not in (pair.spoke.name, pair.hub.name)]  # fmt: skip
    return [line for line in done.stdout.splitlines() if not any(other in line for other in others)]


async def _registration(pair: Pair) -> Broken | None:
    entries = await pair.lab.query(pair.hub.name, "nhrp")
    address = str(pair.at_spoke.address.ip)
    bound = next((entry["nbma"] for entry in entries if entry["protocol"] == address), None)
    if bound == pair.spoke_outside:
        return None
    servers = await pair.lab.query(pair.spoke.name, "nhs")
    state = next((s for s in servers if s["protocol"] == str(pair.at_hub.address.ip)), None)
    at_spoke = f"{state['state']}, {state['last_error'] or 'no error'}" if state else "it has no such server"
    at_hub = f"{address} -> {bound}" if bound else f"no entry for {address}"
    return Broken("registration", f"{pair.hub.name} has {at_hub}; {pair.spoke.name}: {at_spoke}",
                  f"dmvpn-lab show {pair.hub.name} counters")  # fmt: skip


async def _multicast(pair: Pair) -> Broken | None:
    ends = ((pair.hub.name, pair.at_hub, pair.spoke_outside), (pair.spoke.name, pair.at_spoke, pair.hub_nbma))
    for node, tunnel, far in ends:
        wanted = tunnel.map_multicast_dynamic or far in map(str, tunnel.map_multicast)
        if tunnel.mode == "point-to-point" or not wanted:
            continue
        peers = {entry["nbma"] for entry in await pair.lab.query(node, "multicast")}
        if far not in peers:
            evidence = f"{node} sends multicast to {', '.join(sorted(peers)) or 'nobody'}"
            return Broken("multicast map", evidence, f"dmvpn-lab show {node} multicast")
    return None


async def _adjacency(pair: Pair) -> Broken | None:
    routing = protocol(pair.cloud.routing.protocol)
    if not routing.exchanges_routes:
        return None
    for node, neighbour in ((pair.hub, pair.at_spoke), (pair.spoke, pair.at_hub)):
        up, seen = await adjacent(pair.lab, pair.cloud, node.name, neighbour.address.ip)
        if not up:
            argv = " ".join(f"'{word}'" if " " in word else word for word in routing.show_argv())
            shown = "eigrp neighbors" if routing.name == "eigrp" else routing.name
            look_at = f"exec {node.name} -- {argv}" if argv else f"show {node.name} {shown}"
            seen += await _why_not_adjacent(pair, routing.name)
            return Broken("adjacency", f"{node.name}: {seen}", f"dmvpn-lab {look_at}")
    return None


async def _why_not_adjacent(pair: Pair, protocol_name: str) -> str:
    """What EIGRP counted of packets that it did not believe."""
    if protocol_name != "eigrp":
        return ""
    told = ""
    for node in (pair.hub, pair.spoke):
        counters = (await pair.lab.query(node.name, "eigrp-traffic"))["counters"]
        for name in (each for each in sorted(REFUSED) if counters.get(each)):
            told += f"; {node.name}: {counters[name]} packets {REFUSED[name]}"
    return told


async def _route(pair: Pair) -> Broken | None:
    if not protocol(pair.cloud.routing.protocol).exchanges_routes:
        return None
    for node, tunnel, far in ((pair.hub, pair.at_hub, pair.spoke), (pair.spoke, pair.at_spoke, pair.hub)):
        lan = far.lan_interface()
        if lan is None or lan.address is None:
            continue
        device = (await forwarded(pair.lab, node, str(lan.address.ip))).get("dev")
        if device != tunnel.name:
            evidence = f"{node.name} sends packets for {far.name}'s LAN out of {device or 'no interface'}"
            return Broken("route", evidence, f"dmvpn-lab show {node.name} routes")
    return None


async def _reachability(pair: Pair) -> Broken | None:
    near, far = host_behind(pair.lab.plan, pair.spoke), host_behind(pair.lab.plan, pair.hub)
    if near is None or far is None or not protocol(pair.cloud.routing.protocol).exchanges_routes:
        return None
    address = far.interfaces[0].address
    assert address is not None
    done = await pair.lab.exec(near.name, "ping", "-n", "-c", "2", "-W", "3", str(address.ip))
    if done.exit_code == 0:
        return None
    return Broken("reachability", f"{near.name} does not reach {far.name} ({address.ip})",
                  f"dmvpn-lab exec {near.name} -- traceroute -n {address.ip}")  # fmt: skip


STEPS: tuple[Step, ...] = (
    _underlay, _ipsec, _registration, _multicast, _adjacency, _route, _reachability,
)  # fmt: skip

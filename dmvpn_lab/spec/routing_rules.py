"""What the `routing` of a cloud must satisfy: one function a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dmvpn_lab.errors import Problem
from dmvpn_lab.spec.lines import lines
from dmvpn_lab.spec.load import Document
from dmvpn_lab.spec.model import Lab, Routing

KEYS: dict[str, frozenset[str]] = {
    "hello": frozenset({"eigrp", "ospf", "bgp", "rip", "odr"}),
    "dead": frozenset({"ospf"}),
    "hold": frozenset({"eigrp", "bgp", "rip", "odr"}),
    "network_type": frozenset({"ospf"}),
    "asn": frozenset({"eigrp", "bgp"}),
    "spoke_asn": frozenset({"bgp"}),
    "split_horizon": frozenset({"eigrp", "rip"}),
    "next_hop_self": frozenset({"eigrp", "bgp", "rip"}),
    "stub": frozenset({"eigrp"}),
    "leak": frozenset({"eigrp"}),
    "redistribute": frozenset({"eigrp"}),
    "summary": frozenset({"eigrp"}),
    "bandwidth": frozenset({"eigrp"}),
    "bandwidth_percent": frozenset({"eigrp"}),
    "metrics": frozenset({"eigrp"}),
    "authentication": frozenset({"eigrp"}),
    "key_string": frozenset({"eigrp"}),
    "key_id": frozenset({"eigrp"}),
}
"""Key -> the protocols that it does something to."""
DEFAULT_ASN = {"bgp": 65000, "eigrp": 1}
HOLD_FACTOR = 3
"""Hold time in hellos, where the topology gives none."""


def asn_of(routing: Routing) -> int:
    """The AS: as written, else the protocol's default; 0 where there is none."""
    return routing.asn or DEFAULT_ASN.get(routing.protocol, 0)


def hold_of(routing: Routing) -> int:
    """The hold time: as written, else three hellos."""
    return routing.hold or min(65535, HOLD_FACTOR * routing.hello)


def keys_fit_the_protocol(lab: Lab, document: Document) -> Iterator[Problem]:
    """A key that would do nothing is a mistake."""
    for name, cloud in lab.clouds.items():
        routing = cloud.routing
        for key in sorted(routing.model_fields_set - {"protocol"}):
            users = KEYS[key]
            if routing.protocol not in users:
                word = key.replace("_", "-")
                yield document.problem(
                    ("clouds", name, "routing", word),
                    f"{word} does nothing with protocol {routing.protocol}",
                    hint=f"it is for {', '.join(sorted(users))}",
                )


def neighbours_outlive_a_hello(lab: Lab, document: Document) -> Iterator[Problem]:
    """Neighbours are kept for longer than a hello."""
    for name, cloud in lab.clouds.items():
        routing = cloud.routing
        key, value = ("dead", routing.dead) if routing.protocol == "ospf" else ("hold", hold_of(routing))
        if value <= routing.hello and routing.protocol != "none":
            yield document.problem(
                ("clouds", name, "routing", key),
                f"{value} s, with hellos every {routing.hello} s",
                expected=f"more than {routing.hello}, better {HOLD_FACTOR * routing.hello}",
            )


def cdp_holds_for_an_octet(lab: Lab, document: Document) -> Iterator[Problem]:
    """CDP has one octet for the holding time."""
    for name, cloud in lab.clouds.items():
        if cloud.routing.protocol == "odr" and hold_of(cloud.routing) > 255:
            yield document.problem(
                ("clouds", name, "routing", "hold" if cloud.routing.hold else "hello"),
                f"a holding time of {hold_of(cloud.routing)} s does not fit into CDP",
                expected="255 or less",
            )


def odr_is_alone_on_a_spoke(lab: Lab, document: Document) -> Iterator[Problem]:
    """A spoke's only route is the default route to its hub; another protocol's routes would be cut off."""
    for name, node in lab.nodes.items():
        clouds = {c: lab.clouds[c].routing.protocol for c in node.clouds if c in lab.clouds}
        for cloud, protocol in clouds.items():
            others = set(clouds.values()) - {"odr", "none"}
            if protocol == "odr" and others and node.clouds[cloud].role == "spoke":
                yield document.problem(
                    ("nodes", name, "clouds", cloud),
                    f"a stub of ODR here, and {' and '.join(sorted(others))} in another cloud",
                    hint="ODR tells connected networks only: use one protocol for all its clouds",
                )


def one_as_a_router(lab: Lab, document: Document) -> Iterator[Problem]:
    """A router's BGP has one AS, in however many clouds it runs; so has its EIGRP."""
    for name, node in lab.nodes.items():
        for protocol in ("bgp", "eigrp"):
            seen: dict[int, str] = {}
            for cloud, member in node.clouds.items():
                routing = lab.clouds[cloud].routing if cloud in lab.clouds else None
                if routing is not None and routing.protocol == protocol:
                    own = asn_of(routing) if member.role == "hub" else routing.spoke_asn or asn_of(routing)
                    seen.setdefault(own, cloud)
            if len(seen) > 1:
                where = " and ".join(seen.values())
                yield document.problem(
                    ("nodes", name, "clouds"),
                    f"a different AS in {where}",
                    hint="give these clouds the same `asn:`, or `spoke-asn:` where it is a spoke",
                )


def eigrp_numbers_fit(lab: Lab, document: Document) -> Iterator[Problem]:
    """EIGRP's AS has 16 bits; a stub that announces nothing announces nothing else."""
    for name, cloud in lab.clouds.items():
        routing = cloud.routing
        if routing.protocol != "eigrp":
            continue
        if routing.asn is not None and routing.asn > 65535:
            yield document.problem(
                ("clouds", name, "routing", "asn"),
                f"{routing.asn} is no AS of EIGRP",
                expected="65535 or less",
            )
        if "receive-only" in routing.stub and len(routing.stub) > 1:
            yield document.problem(
                ("clouds", name, "routing", "stub"),
                "receive-only goes with nothing else",
                hint="a stub that only receives announces nothing",
            )


def leaks_and_static_routes_are_announced(lab: Lab, document: Document) -> Iterator[Problem]:
    """A leak map has networks, and networks a leak map; static routes are there to be announced."""
    for name, cloud in lab.clouds.items():
        routing, path = cloud.routing, ("clouds", name, "routing")
        if "leak-map" in routing.stub and not routing.leak:
            yield document.problem((*path, "stub"), "leak-map of nothing", hint="add `leak: [NETWORK]`")
        if routing.leak and "leak-map" not in routing.stub:
            yield document.problem((*path, "leak"), "no leak map", hint="add `leak-map` to `stub`")
    for name, node in lab.nodes.items():
        if node.static_routes and node.lan is None:
            hint = "add `lan: ADDRESS/LENGTH`"
            yield document.problem(
                ("nodes", name, "static-routes"), "static routes to a host without a LAN", hint=hint
            )


def a_key_has_a_use(lab: Lab, document: Document) -> Iterator[Problem]:
    """Authentication has a key, and a key is for authentication."""
    for name, cloud in lab.clouds.items():
        routing = cloud.routing
        path = ("clouds", name, "routing")
        if routing.authentication is not None and routing.key_string is None:
            yield document.problem((*path, "authentication"), "no key", hint="add `key-string:`")
        unused = [key for key in ("key_string", "key_id") if key in routing.model_fields_set]
        if routing.authentication is None and unused and routing.protocol == "eigrp":
            word = unused[0].replace("_", "-")
            hint = "add `authentication: md5` or `authentication: hmac-sha-256`"
            yield document.problem((*path, word), f"{word} without authentication", hint=hint)


def no_hub_is_a_stub(lab: Lab, document: Document) -> Iterator[Problem]:
    """A stub passes nothing on, so it cannot be another cloud's hub."""
    for name, node in lab.nodes.items():
        clouds = {c: lab.clouds[c].routing for c in node.clouds if c in lab.clouds}
        hub = any(r.protocol == "eigrp" and node.clouds[c].role == "hub" for c, r in clouds.items())
        for cloud, routing in clouds.items():
            if hub and routing.stub and node.clouds[cloud].role == "spoke":
                yield document.problem(
                    ("nodes", name, "clouds", cloud),
                    "a stub here, and the hub of another cloud",
                    hint=f"leave `stub` out of {cloud}: a stub passes nothing on",
                )


def tunnels_stay_outside_of_summaries(lab: Lab, document: Document) -> Iterator[Problem]:
    """A summary that covers a NBMA address leads the tunnel's own packets into the tunnel, or nowhere."""
    for name, cloud in lab.clouds.items():
        members = [node for node in lab.nodes.values() if name in node.clouds]
        addresses = [line.ip for node in members for line in lines(node).values()]
        for i, summary in enumerate(cloud.routing.summary):
            covered = next((address for address in addresses if address in summary), None)
            if summary.prefixlen == 0:
                continue  # a default route of the overlay does not count for the tunnel's own packets
            if covered is not None:
                yield document.problem(
                    ("clouds", name, "routing", "summary", i),
                    f"{summary} covers the NBMA address {covered}: the tunnel would be its own way",
                    hint="name the LANs only",
                )


def key_that_keeps_the_next_hop(routing: Routing) -> str | None:
    """The key by which one spoke gets another as next hop; None: the next hop is the hub."""
    if routing.protocol == "ospf" and routing.network_type == "broadcast":
        return "network-type"
    if routing.protocol in KEYS["next_hop_self"] and not routing.next_hop_self:
        return "next-hop-self"
    return None


def spokes_can_reach_the_next_hop(lab: Lab, document: Document) -> Iterator[Problem]:
    """A next hop that is another spoke is resolved (phase 2), or on a tunnel that leads to the hub anyway."""
    for name, cloud in lab.clouds.items():
        spokes = [n for n in lab.nodes.values() if name in n.clouds and n.clouds[name].role == "spoke"]
        if cloud.spoke_gre == "point-to-point" or cloud.phase > 1 or len(spokes) < 2:
            continue
        key = key_that_keeps_the_next_hop(cloud.routing)
        if key is not None:
            yield document.problem(
                ("clouds", name, "routing", key),
                "the next hop would be another spoke, whose NBMA address a spoke does not know",
                hint="add `phase: 2` to the cloud: then it is resolved; "
                "or `spoke-gre: point-to-point`: then all goes to the hub",
            )


def the_phase_can_work(lab: Lab, document: Document) -> Iterator[Problem]:
    """Spokes that meet directly need multipoint GRE, and a reason to send to each other."""
    for name, cloud in lab.clouds.items():
        path = ("clouds", name, "phase")
        if cloud.phase > 1 and cloud.ipsec is not None and cloud.ipsec.authentication == "spoke-keys":
            message = f"phase {cloud.phase} with spoke-keys: two spokes that meet have no key in common"
            hint = "use `authentication: certificates` or `pre-shared-key`"
            yield document.problem(path, message, hint=hint)
        elif cloud.phase > 1 and cloud.spoke_gre == "point-to-point":
            message = f"phase {cloud.phase} with point-to-point GRE: a spoke's tunnel leads to the hub only"
            yield document.problem(path, message, hint="remove `spoke-gre`, or set `phase: 1`")
        elif cloud.phase == 2 and key_that_keeps_the_next_hop(cloud.routing) is None:
            message = "phase 2, but the hub is the next hop of everything: no spoke would be resolved"
            yield document.problem(path, message, hint=_how_to_keep_the_next_hop(cloud.routing.protocol))
        elif cloud.phase == 3 and (key := key_that_keeps_the_next_hop(cloud.routing)) is not None:
            message = "phase 3, but another spoke is the next hop: the hub sees nothing that it could shorten"
            yield document.problem(path, message, hint=f"remove `{key}` from its routing, or set `phase: 2`")
        elif cloud.phase == 3 and cloud.routing.protocol == "none":
            message = "phase 3 without routes: there is nothing to shorten"
            yield document.problem(path, message, hint="choose a routing protocol, or set `phase: 1`")


def _how_to_keep_the_next_hop(protocol: str) -> str:
    if protocol == "ospf":
        return "add `network-type: broadcast` to its routing"
    if protocol in KEYS["next_hop_self"]:
        return "add `next-hop-self: false` to its routing"
    return f"protocol {protocol} cannot do that: set `phase: 1`"


ALL: tuple[Callable[[Lab, Document], Iterator[Problem]], ...] = (
    keys_fit_the_protocol,
    neighbours_outlive_a_hello,
    cdp_holds_for_an_octet,
    odr_is_alone_on_a_spoke,
    one_as_a_router,
    eigrp_numbers_fit,
    leaks_and_static_routes_are_announced,
    a_key_has_a_use,
    no_hub_is_a_stub,
    tunnels_stay_outside_of_summaries,
    spokes_can_reach_the_next_hop,
    the_phase_can_work,
)

"""What is known of a running lab: from its plan, the agents' answers and their events.

Pure: it opens nothing and has no clock. `asked` after an event says what has to be asked again;
`frame` is what both views show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dmvpn_lab import graph
from dmvpn_lab.routing import base as routing
from dmvpn_lab.routing import protocol
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan
from dmvpn_lab.watch import ways
from dmvpn_lab.watch.frame import Adjacency, CacheEntry, Frame, Link, MemberTunnel, Node, Sa, Tunnel

Event = Mapping[str, Any]
ROUTING = "routing:"
"""Begins the question for the neighbours of a routing daemon, which is no agent's query."""
ABOUT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("agent-ready", ("status", "nhs", "nhrp", "ipsec")),
    ("state-restored", ("nhrp",)),
    ("tunnel-", ("status", "nhs")),
    ("nat-changed", ("status",)),
    ("nbma-changed", ("status", "nhs")),
    ("registration-refused", ("nhs",)),
    ("registration-timeout", ("nhs",)),
    ("registered", ("nhs",)),
    ("peer-", ("nhrp",)),
    ("resolved", ("nhrp",)),
    ("resolution-ended", ("nhrp",)),
    ("no-direct-way", ("nhrp",)),
    ("shortcut-", ("nhrp",)),
    ("ike-", ("ipsec",)),
    ("ipsec-", ("ipsec", "nhs")),
    ("eigrp-neighbour-", ("eigrp-neighbors",)),
    ("odr-neighbour-", ("odr",)),
)
"""How an event's name begins -> what it changes."""


class LabState:
    """One lab."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._places = graph.places(plan)
        self._answers: dict[tuple[str, str], Any] = {}
        self._neighbours: dict[tuple[str, str], Sequence[routing.Adjacency]] = {}
        self._present: set[str] = set()
        self._by_tunnel = {str(a): node.name for node in plan.routers()
                           for t in node.tunnels for a in t.registered()}  # fmt: skip

    # --- what comes in ------------------------------------------------------------------------------

    def questions(self, node: str) -> tuple[str, ...]:
        """All that there is to ask of a router."""
        clouds = [self.plan.cloud(tunnel.cloud) for tunnel in self.plan.node(node).tunnels]
        asked = ["status", "nhs", "nhrp"]
        if any(cloud.ipsec is not None for cloud in clouds):
            asked.append("ipsec")
        asked += [question for _, question in _routings(clouds)]
        return tuple(dict.fromkeys(asked))

    def answered(self, node: str, question: str, answer: Any, at: float) -> None:
        """A router's answer; `at` is the wall clock of the moment when it came."""
        self._present.add(node)
        if question == "nhrp":
            answer = [each | {"expires_at": _point(at, each["expires_in_s"])} for each in answer]
        self._answers[node, question] = answer

    def neighbours(self, node: str, name: str, found: Sequence[routing.Adjacency]) -> None:
        """A router's neighbours in a routing protocol."""
        self._neighbours[node, name] = found

    def lost(self, node: str) -> None:
        """A router's agent has gone: what it said is history."""
        self._present.discard(node)
        for each in [key for key in self._answers if key[0] == node]:
            del self._answers[each]
        for each in [key for key in self._neighbours if key[0] == node]:
            del self._neighbours[each]

    def heard(self, event: Event) -> tuple[str, ...]:
        """An event of a router; what to ask of it again. A renewal says all by itself."""
        node, name = str(event["node"]), str(event["event"])
        if name == "peer-registered" and self._renewed(node, event):
            return ()
        about = next((asked for prefix, asked in ABOUT if name.startswith(prefix)), ())
        return tuple(each for each in about if each in self.questions(node))

    def _renewed(self, node: str, event: Event) -> bool:
        if event["previous_nbma"] != event["nbma"]:
            return False
        for entry in self._answers.get((node, "nhrp"), ()):
            same = (entry["interface"], entry["protocol"]) == (event["interface"], event["protocol"])
            if same and "registered" in entry["flags"]:
                entry["expires_at"] = _point(event["at"], event["holding_time_s"])
                return True
        return False

    # --- what goes out ------------------------------------------------------------------------------

    def frame(self, at: float) -> Frame:
        """The lab as it is now."""
        caches = list(self._caches())
        sas = list(self._sas())
        adjacencies = list(self._adjacencies())
        nodes = [self._node(node) for node in self.plan.nodes]
        return Frame(
            lab=self.plan.lab,
            at=round(at, 3),
            nodes=nodes,
            links=[Link(a=link.a.node, b=link.b.node) for link in self.plan.links],
            tunnels=[self._tunnel(cloud, spoke, hub, caches, sas, adjacencies)
                     for cloud in self.plan.clouds
                     for spoke in self.plan.members(cloud.name, "spoke")
                     for hub in self.plan.members(cloud.name, "hub")],
            shortcuts=ways.shortcuts(self.plan, caches, sas),
            caches=caches,
            adjacencies=adjacencies,
            sas=sas,
        )  # fmt: skip

    def _node(self, node: NodePlan) -> Node:
        ours = node in self.plan.agents()
        told = {t["interface"]: t for t in self._answer(node.name, "status", {}).get("tunnels", ())}
        return Node(
            name=node.name,
            kind=node.kind,
            place=self._places[node.name],
            agent="none" if not ours else "up" if node.name in self._present else "gone",
            addresses=[str(a) for interface in node.interfaces for a in interface.addresses()
                       if not ours or interface.purpose != "nbma"],
            tunnels=[_member(tunnel, told.get(tunnel.name)) for tunnel in node.tunnels],
        )  # fmt: skip

    def _tunnel(
        self,
        cloud: CloudPlan,
        at_spoke: tuple[NodePlan, TunnelPlan],
        at_hub: tuple[NodePlan, TunnelPlan],
        caches: list[CacheEntry],
        sas: list[Sa],
        adjacencies: list[Adjacency],
    ) -> Tunnel:
        (spoke, tunnel), (hub, hub_tunnel) = at_spoke, at_hub
        wanted = {str(address) for address in tunnel.registered()}
        bound = [e for e in caches if (e["node"], e["interface"]) == (hub.name, hub_tunnel.name)
                 and "registered" in e["flags"] and e["protocol"].partition("/")[0] in wanted]  # fmt: skip
        ends = [e["expires_at"] for e in bound if e["expires_at"] is not None]
        routed = protocol(cloud.routing.protocol).exchanges_routes
        return Tunnel(
            cloud=cloud.name,
            spoke=spoke.name,
            hub=hub.name,
            nbma=bound[0]["nbma"] if bound else None,
            state=self._registration(spoke, hub, hub_tunnel, len(bound) == len(wanted)),
            expires_at=min(ends, default=None),
            protected=None if cloud.ipsec is None else ways.protected(self.plan, sas, spoke.name, hub.name),
            adjacent=_adjacent(adjacencies, cloud, at_spoke, at_hub) if routed else None,
        )

    def _registration(self, spoke: NodePlan, hub: NodePlan, at_hub: TunnelPlan, bound: bool) -> str:
        """The hub's cache decides; the spoke's own word says why not, or that it is renewing elsewhere."""
        for each in (spoke, hub):
            if each.external is None and each.name not in self._present:
                return "agent gone"
        servers = {str(address) for address in at_hub.registered()}
        states = [each["state"] for each in self._answer(spoke.name, "nhs", ())
                  if each["protocol"] in servers]  # fmt: skip
        unsettled = next((state for state in states if state != "registered"), None)
        if unsettled is not None:
            return str(unsettled)
        if hub.external is not None:
            return "registered" if states else "unknown"
        return "registered" if bound else "not registered"

    def _caches(self) -> Iterator[CacheEntry]:
        for node, entry in self._all("nhrp"):
            yield CacheEntry(
                node=node,
                interface=entry["interface"],
                protocol=f"{entry['protocol']}/{entry['prefix_length']}",
                nbma=entry["nbma"],
                peer=self._by_tunnel.get(entry["via"], ""),
                type=entry["type"],
                flags=entry["flags"],
                expires_at=entry["expires_at"],
            )

    def _sas(self) -> Iterator[Sa]:
        places = dict(self._nbma_addresses())
        for node, entry in self._all("ipsec"):
            yield Sa(
                node=node, peer=places.get(entry["nbma"], ""), nbma=entry["nbma"], ike=entry["ike"],
                transform=entry["transform"], spi_in=entry["spi_in"], spi_out=entry["spi_out"],
                packets_in=entry["packets_in"], packets_out=entry["packets_out"],
                encapsulated=entry["encapsulated"],
            )  # fmt: skip

    def _adjacencies(self) -> Iterator[Adjacency]:
        for node in self.plan.routers():
            for (name, spoken), found in self._neighbours.items():
                if name == node.name:
                    for each in found:
                        peer = self._by_tunnel.get(str(each.neighbour), "")
                        yield Adjacency(node=name, protocol=spoken, neighbour=str(each.neighbour),
                                        peer=peer, state=each.state, up=each.up)  # fmt: skip

    def _nbma_addresses(self) -> Iterator[tuple[str, str]]:
        """NBMA address -> router, as they are now; what a NAT router shows instead, too."""
        for node in self.plan.routers():
            if node.external is not None and (fixed := node.nbma_interface().address) is not None:
                yield str(fixed.ip), node.name
            for tunnel in self._answer(node.name, "status", {}).get("tunnels", ()):
                for address in (tunnel["nbma"], tunnel["outside"]):
                    if address is not None:
                        yield address, node.name

    def _all(self, question: str) -> Iterator[tuple[str, Any]]:
        """Each entry of every router's answer, in the order of the topology."""
        for node in self.plan.agents():
            for entry in self._answer(node.name, question, ()):
                yield node.name, entry

    def _answer(self, node: str, question: str, default: Any) -> Any:
        answer = self._answers.get((node, question))
        return default if answer is None else answer


def _routings(clouds: Iterable[CloudPlan]) -> Iterator[tuple[str, str]]:
    """Routing protocol -> how its neighbours are asked for."""
    for cloud in clouds:
        spoken = protocol(cloud.routing.protocol)
        if spoken.exchanges_routes:
            yield spoken.name, spoken.agent_query or f"{ROUTING}{spoken.name}"


def spoken_by(plan: Plan, node: str) -> dict[str, str]:
    """Question -> name of the routing protocol whose neighbours it asks a router for."""
    clouds = [plan.cloud(tunnel.cloud) for tunnel in plan.node(node).tunnels]
    return {question: name for name, question in _routings(clouds)}


def _member(tunnel: TunnelPlan, told: Any) -> MemberTunnel:
    return MemberTunnel(
        interface=tunnel.name,
        cloud=tunnel.cloud,
        role=tunnel.role,
        addresses=[str(address) for address in tunnel.addresses()],
        nbma=None if told is None else told["nbma"],
        outside=None if told is None else told["outside"],
        up=None if told is None else told["up"],
    )


def _adjacent(
    adjacencies: list[Adjacency],
    cloud: CloudPlan,
    at_spoke: tuple[NodePlan, TunnelPlan],
    at_hub: tuple[NodePlan, TunnelPlan],
) -> bool:
    """Whether each end that is ours has the other, in every family of the tunnel."""
    up = {
        (a["node"], a["neighbour"])
        for a in adjacencies
        if a["up"] and a["protocol"] == cloud.routing.protocol
    }
    for (near, _), (_, far) in ((at_spoke, at_hub), (at_hub, at_spoke)):
        if near.external is None and any((near.name, str(a.ip)) not in up for a in far.addresses()):
            return False
    return True


def _point(at: float, left_s: float | None) -> float | None:
    return None if left_s is None else round(at + left_s, 3)

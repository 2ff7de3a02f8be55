"""The JSON shapes of the agent's control socket: the one file that node side and lab side share.

The socket is a UNIX stream socket; every message is one line of JSON.

    -> {"v": 1, "id": 7, "query": "nhrp"}
    <- {"v": 1, "id": 7, "ok": true, "result": [ {NhrpEntry}, ... ]}
    <- {"v": 1, "id": 7, "ok": false, "error": "unknown query 'foo'"}
    -> {"v": 1, "id": 8, "subscribe": true}
    <- {"v": 1, "id": 8, "ok": true, "result": null}
    <- {"v": 1, "event": "peer-registered", "at": 1764000000.25, "interface": "tunnel0", ...}

With `"replay": true` past events are told first, with `"replay": 50` so many of the last ones.
`at` is the wall clock in seconds, taken once when the event happened. The queries are
`nhrp`, `nhs`, `multicast`, `ipsec`, `counters`, `status`; all but `status` and `counters` return lists.
`odr` returns null on a router that runs no ODR.
On a router that runs EIGRP there are `eigrp-neighbors`, `eigrp-interfaces`, `eigrp-topology` and
`eigrp-traffic` besides;
on others they return null.
"""

from __future__ import annotations

from typing import TypedDict

VERSION = 1

QUERIES = (
    "nhrp", "nhs", "multicast", "ipsec", "counters", "status", "odr",
    "eigrp-neighbors", "eigrp-interfaces", "eigrp-topology", "eigrp-traffic",
)  # fmt: skip
COMMANDS = ("clear", "expire", "leave")
"""Asked like a query; the result is null. `clear` forgets what was resolved, `expire` ends every
holding time, `leave` takes this router's registrations back from its servers."""

EVENTS = (
    "state-restored",  # bindings, dropped: what an agent took over from the one before it, be it none
    "agent-ready",  # all tunnels are up; facts: tunnels
    "tunnel-up",  # interface, nbma
    "tunnel-down",  # interface, reason
    "nat-changed",  # interface, nbma, outside: the address that a server sees instead, null for the same
    "nbma-changed",  # interface, old, new (null when the source lost its address)
    "registration-sent",  # interface, nhs, nbma, request_id, trigger
    "registered",  # interface, nhs, nbma, request_id: the NHS answered Success
    "registration-refused",  # interface, nhs, code, meaning
    "registration-timeout",  # interface, nhs, tries
    "peer-registered",  # interface, protocol, nbma, holding_time_s, unique, previous_nbma
    "peer-refused",  # interface, protocol, nbma, code, meaning; identity when it is not the owner's
    "peer-expired",  # interface, protocol, nbma
    "resolution-sent",  # interface, protocol, nhs, request_id, tries: its NBMA address is asked for
    "resolved",  # interface, protocol, nbma, holding_time_s, previous_nbma, asked_s_ago
    "resolution-refused",  # interface, protocol, nhs, code, meaning
    "resolution-timeout",  # interface, protocol, nhs, tries
    "no-direct-way",  # interface, protocol, nbma, tries: packets go by the hub
    "resolution-ended",  # interface, protocol, nbma, reason: expired, purged, cleared or unreachable
    "indication-sent",  # interface, nbma, source, destination: a spoke is told of a shorter way
    "shortcut-added",  # interface, prefix, via
    "shortcut-removed",  # interface, prefix, via, reason
    "purge-sent",  # interface, protocol (or a prefix), to: a station hears that what it was told is over
    "neighbour-restored",  # interface, protocol, nbma: somebody else took it from the kernel, or changed it
    "multicast-changed",  # interface, added, removed (NBMA addresses), peers (how many there are now)
    "ike-ready",  # charon answers and has its keys and connections
    "ike-lost",  # charon is gone; its states may still carry traffic
    "ipsec-up",  # nbma, local, identity, spi_in, spi_out, encapsulated: phase 2 finished
    "ipsec-rekeyed",  # the same: new keys, no gap
    "ipsec-down",  # the same: the last SA with that peer is gone
    "ipsec-failed",  # nbma, failures: a negotiation ended without an SA
    "ipsec-conflict",  # nbma, identities: two peers behind one address; only one of them gets traffic
    "eigrp-neighbour-up",  # interface, neighbour
    "eigrp-neighbour-down",  # interface, neighbour, reason
    "odr-neighbour-up",  # interface, neighbour, device
    "odr-neighbour-down",  # interface, neighbour, reason
)
"""Every event name that the agent emits, with its facts besides `event` and `at`."""

TRIGGERS = ("tunnel-up", "source-changed", "ipsec-up", "timer", "retransmit")
"""Why a registration request was sent."""


class NhrpEntry(TypedDict):
    """One entry of the NHRP cache."""

    interface: str
    network_id: int
    protocol: str
    prefix_length: int
    via: str
    """Its next hop: of a shortcut another's tunnel address, else itself."""
    nbma: str
    type: str
    """`static` or `dynamic`."""
    flags: list[str]
    """Sorted, of: `multicast`, `nhs`, `registered`, `nat`, `resolved`, `shortcut`, `unique`."""
    holding_time_s: int | None
    expires_in_s: float | None
    """None for a static entry."""
    created_s_ago: float


class NhsEntry(TypedDict):
    """One next hop server of this client."""

    interface: str
    protocol: str
    nbma: str | None
    priority: int
    """The lowest number is the best."""
    state: str
    """`registered`, `registering`, `refused` or `waiting` (no source address, or no IPsec SA)."""
    requests_sent: int
    requests_failed: int
    replies_received: int
    replied_s_ago: float | None
    """Since its last reply."""
    renews_in_s: float | None
    last_error: str | None


class MulticastEntry(TypedDict):
    """One peer that gets a copy of a tunnel's multicast."""

    interface: str
    nbma: str
    origin: str
    """`static` or `dynamic`."""
    packets: int
    """Copies sent to it."""


class IpsecEntry(TypedDict):
    """One pair of ESP SAs with a peer."""

    local: str
    nbma: str
    """Of the peer."""
    identity: str
    """What the peer proved to be, to IKE."""
    ike: str
    """`IKEv1` or `IKEv2`."""
    transform: str
    spi_in: str
    """Hexadecimal."""
    spi_out: str
    packets_in: int
    packets_out: int
    encapsulated: bool
    """In UDP: a NAT is between."""


class TunnelStatus(TypedDict):
    """One GRE interface."""

    interface: str
    mode: str
    """`multipoint` or `point-to-point`."""
    network_id: int
    address: str
    nbma: str | None
    """The present tunnel source address; None while the source interface has none."""
    outside: str | None
    """What a hub sees instead: the router is behind a NAT. None: the same."""
    up: bool


class Status(TypedDict):
    """Answer to `status`."""

    version: str
    uptime_s: float
    tunnels: list[TunnelStatus]


Counters = dict[str, dict[str, int]]
"""Answer to `counters`: interface -> counter name -> value. Names are in `nhrp/counters.py`."""


class EigrpNeighbour(TypedDict):
    """One EIGRP neighbour."""

    asn: int
    handle: int
    """In the order of appearance."""
    address: str
    interface: str
    up: bool
    """False: pending, it has not acknowledged our first update yet."""
    hold_s: float
    """Until it is given up."""
    uptime_s: float
    srtt_ms: float | None
    rto_ms: int
    queued: int
    """Packets that it has not acknowledged."""
    sequence: int
    """Of its last packet."""
    stub: int | None
    """Bits of what a stub announces; None: no stub."""


class EigrpInterface(TypedDict):
    """One interface on which EIGRP looks for neighbours."""

    asn: int
    interface: str
    peers: int
    queued: int
    """Packets that its neighbours have not acknowledged."""
    srtt_ms: float | None
    """Mean of its neighbours."""
    bandwidth_kbps: int
    bandwidth_percent: int
    """Share of it that EIGRP may take."""
    pacing_ms: float
    """Rest between two reliable packets: a full one at that share."""


class EigrpPath(TypedDict):
    """One way to a destination."""

    interface: str
    neighbour: str | None
    """None: our own."""
    next_hop: str | None
    distance: int
    reported_distance: int
    successor: bool
    external: bool


class EigrpRoute(TypedDict):
    """One destination of the topology table."""

    prefix: str
    active: bool
    feasible_distance: int | None
    """None: it cannot be reached."""
    successors: int
    waiting: list[str]
    """Neighbours that have not replied."""
    paths: list[EigrpPath]


class EigrpTopology(TypedDict):
    """Answer to `eigrp-topology`."""

    asn: int
    router_id: str
    routes: list[EigrpRoute]


class EigrpTraffic(TypedDict):
    """Answer to `eigrp-traffic`."""

    asn: int
    counters: dict[str, int]


class OdrNeighbour(TypedDict):
    """A router whose CDP packets are heard."""

    interface: str
    address: str
    device: str
    hold_s: float
    """Until it is given up."""
    prefixes: list[str]
    """What is reached through it."""


class OdrStatus(TypedDict):
    """Answer to `odr`."""

    neighbours: list[OdrNeighbour]
    counters: dict[str, int]

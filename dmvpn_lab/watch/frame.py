"""What `dmvpn-lab watch --json` prints: one JSON object a line.

    {"v": 1, "frame": {Frame}}       the whole lab, when something has changed, and every now and then
    {"v": 1, "event": {...}}         what an agent told, as `dmvpn-lab events --json` prints it
    {"v": 1, "ended": "..."}         nothing more will come, and why

A frame holds points in time and no remaining times: `expires_at` is the wall clock in seconds, so
who shows it counts down by itself, and nothing is sent while nothing happens.
"""

from __future__ import annotations

from typing import TypedDict

VERSION = 1


class MemberTunnel(TypedDict):
    """One GRE interface of a router."""

    interface: str
    cloud: str
    role: str
    addresses: list[str]
    """Of the tunnel, with prefix length."""
    nbma: str | None
    """Its source address now; None while it has none, or nobody tells."""
    outside: str | None
    """What a hub sees instead, behind a NAT."""
    up: bool | None
    """None: nobody tells."""


class Node(TypedDict):
    """One node."""

    name: str
    kind: str
    """`router`, `isp`, `nat` or `host`."""
    place: tuple[float, float]
    """Where it stands in a picture."""
    agent: str
    """`up`, `gone` (it does not answer), or `none`: it runs none of ours."""
    addresses: list[str]
    """Of its interfaces, as the topology says; without the NBMA address of a router that tells it itself."""
    tunnels: list[MemberTunnel]


class Link(TypedDict):
    """A cable."""

    a: str
    b: str


class Tunnel(TypedDict):
    """A spoke's tunnel to one hub."""

    cloud: str
    spoke: str
    hub: str
    nbma: str | None
    """Of the spoke, as the hub has it bound."""
    state: str
    """`registered`; or the spoke's own word: `registering`, `waiting`, `refused`; or `not registered`,
    `agent gone`, `unknown`."""
    expires_at: float | None
    protected: bool | None
    """Both ends have one SA pair; None: the cloud has no IPsec."""
    adjacent: bool | None
    """Both ends exchange routes; None: the cloud has no routing protocol."""


class Shortcut(TypedDict):
    """A way between two routers that does not go by a hub, as one of them has it."""

    cloud: str
    source: str
    target: str
    prefixes: list[str]
    """Behind the target; empty: only its tunnel address was resolved."""
    expires_at: float | None
    protected: bool | None


class CacheEntry(TypedDict):
    """One entry of an NHRP cache."""

    node: str
    interface: str
    protocol: str
    """With prefix length."""
    nbma: str
    peer: str
    """The router with that tunnel address; empty for none of ours."""
    type: str
    flags: list[str]
    expires_at: float | None


class Adjacency(TypedDict):
    """One routing neighbour as a router sees it."""

    node: str
    protocol: str
    neighbour: str
    peer: str
    state: str
    up: bool


class Sa(TypedDict):
    """One pair of ESP SAs as a router has it."""

    node: str
    peer: str
    nbma: str
    ike: str
    transform: str
    spi_in: str
    spi_out: str
    packets_in: int
    packets_out: int
    encapsulated: bool


class Frame(TypedDict):
    """The whole lab at one moment."""

    lab: str
    at: float
    """Wall clock."""
    nodes: list[Node]
    links: list[Link]
    tunnels: list[Tunnel]
    shortcuts: list[Shortcut]
    caches: list[CacheEntry]
    adjacencies: list[Adjacency]
    sas: list[Sa]

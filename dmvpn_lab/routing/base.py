"""The port of a routing protocol: one file a protocol, found by its name in the topology."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Protocol

from dmvpn_lab.address import IpAddress
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a router runs for its routing protocol."""

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: str | None = None
    """A path that appears when it is ready."""
    restart: bool = False
    """Whether it is started again when it ends."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a routing protocol needs in one router."""

    files: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[Program, ...] = ()
    directories: Mapping[str, str] = field(default_factory=dict)
    """Folder -> owner."""
    agent: Mapping[str, Any] = field(default_factory=dict)
    """Parts of the agent's configuration file."""


@dataclass(frozen=True, slots=True)
class Adjacency:
    """One neighbour as a router sees it."""

    neighbour: IpAddress
    """Its tunnel address."""
    state: str
    """In the protocol's own word, such as `Full`."""
    up: bool
    """Routes are exchanged."""


class RoutingProtocol(Protocol):
    """What the rest of the lab side asks of a routing protocol."""

    name: str
    exchanges_routes: bool
    """False: there is neither adjacency nor route to wait for."""

    agent_query: str | None
    """Name of the agent's query whose answer, as JSON, `parse` reads; None: it reads `show_argv`."""

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """Files and programs of one router."""

    def show_argv(self) -> tuple[str, ...]:
        """The command that prints the neighbours, for `parse`."""

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """The neighbours. Raises ValueError for output that is not what `show_argv` prints."""

    def knows(self, cloud: CloudPlan, router: TunnelPlan, target: TunnelPlan, lan: IPv4Network) -> bool:
        """Whether a member of a cloud gets a route to the LAN behind another."""

    def deadline_s(self, cloud: CloudPlan) -> float:
        """Seconds within which adjacencies and routes must be there once packets can flow."""

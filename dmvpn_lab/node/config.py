"""Reads a node's configuration file: what its first process sets up and starts.

{"version": 1, "hostname": "spoke-a", "interfaces": [...], "routes": [...], "sysctls": {...},
 "nft": "...", "services": [...], "agent": true}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmvpn_lab.errors import UsageError

VERSION = 1
PATH = Path("/etc/dmvpn-lab/node.json")
PATIENCE_S = 600.0
"""A lab of many nodes on a busy host: its controller is the one to give up."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface to configure once it is there."""

    name: str
    mtu: int
    """Octets; 0 leaves it as it is."""
    addresses: tuple[str, ...]
    mac: str | None = None
    held: bool = False
    """Its line is down until all services run: who asks there is answered at once."""


@dataclass(frozen=True, slots=True)
class Route:
    """One static route."""

    destination: str
    """It may be `default`."""
    via: str
    source: str | None = None
    """Only for what leaves with this address."""


@dataclass(frozen=True, slots=True)
class Service:
    """One program to run."""

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    """Services that must be ready before this one starts."""
    ready: str | None = None
    """A path that appears when it is ready; None: it is as soon as it runs."""
    restart: bool = False


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Everything that a node's first process is told."""

    hostname: str
    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...]
    sysctls: tuple[tuple[str, str], ...]
    nft: str
    directories: tuple[tuple[str, str], ...]
    """(path, owner) of folders to make on the node's empty /run."""
    services: tuple[Service, ...]
    agent: bool
    wished_sysctls: tuple[tuple[str, str], ...] = ()
    """Set where the node may; it starts without them, too."""
    patience_s: float = PATIENCE_S
    """How long its interfaces may take to come."""


def load(path: Path = PATH) -> NodeConfig:
    """Read a node's configuration. Raises UsageError that says what is wrong."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except KeyError as error:
        raise UsageError(f"{path}: the key {error} is missing") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def parse(document: dict[str, Any]) -> NodeConfig:
    """From the JSON document. Raises KeyError, TypeError or ValueError."""
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']}, this node reads {VERSION}")
    services = tuple(
        Service(
            s["name"], tuple(s["argv"]), tuple(s.get("after", ())), s.get("ready"), s.get("restart", False)
        )
        for s in document["services"]
    )
    _check_order(services, {"agent"} if document["agent"] else set())
    return NodeConfig(
        hostname=document["hostname"],
        interfaces=tuple(
            Interface(
                i["name"], i["mtu"], tuple(i.get("addresses", ())), i.get("mac"), held=i.get("held", False)
            )
            for i in document["interfaces"]
        ),
        routes=tuple(Route(r["destination"], r["via"], r.get("source")) for r in document.get("routes", ())),
        sysctls=tuple(document.get("sysctls", {}).items()),
        nft=document.get("nft", ""),
        directories=tuple(document.get("directories", {}).items()),
        services=services,
        agent=document["agent"],
        wished_sysctls=tuple(document.get("wished_sysctls", {}).items()),
    )


def _check_order(services: tuple[Service, ...], started: set[str]) -> None:
    """Every service can start some time. Raises ValueError."""
    names = [service.name for service in services]
    if twice := {name for name in names if names.count(name) > 1 or name in started}:
        raise ValueError(f"two services have the name {', '.join(sorted(twice))}")
    if unknown := {name for s in services for name in s.after} - {*names, *started}:
        raise ValueError(f"a service waits for {', '.join(sorted(unknown))}, which is not there")
    left = list(services)
    while left:
        able = [service for service in left if started.issuperset(service.after)]
        if not able:
            raise ValueError(f"services wait for each other: {', '.join(s.name for s in left)}")
        started = started | {service.name for service in able}
        left = [service for service in left if service not in able]

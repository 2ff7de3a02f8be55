"""What of an agent outlives it: request IDs and dynamic bindings (RFC 2332, section 5.2.3).

As records for the state file, and from them back; where the file is, the shell knows.

    {"id": 4711}                                      the last request ID used may be this one
    {"bind": 1, "interface": "tunnel0", ...}          network-id 1 has this binding
    {"renew": 1, "protocol": "10.0.0.11", "expires": 901.5, "request_id": 4}
    {"gone": 1, "protocol": "10.0.0.11"}              network-id 1 has it no more
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from typing import Any

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.config import TunnelConfig

Record = dict[str, Any]
Key = tuple[int, IpAddress]
"""Network-id and protocol address."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What an earlier agent left."""

    last_id: int | None = None
    bindings: tuple[Binding, ...] = ()
    found: bool = True
    """Whether there was an earlier agent that left anything to read, be it no binding."""


NOTHING = Saved(found=False)
"""There was no earlier agent, or its file cannot be read."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What became different since the last record."""

    last_id: int
    bindings: list[tuple[int, IpAddress, Binding | None]]
    """Network-id, protocol address, and its binding; None: it is gone."""
    renewed: list[tuple[int, Binding]] = field(default_factory=list)
    """Network-id, and a binding that is otherwise the one of before."""


def record_of(domain: int, protocol: IpAddress, binding: Binding | None) -> Record:
    """The record of one change."""
    if binding is None:
        return {"gone": domain, "protocol": str(protocol)}
    return {
        "bind": domain,
        "interface": binding.interface,
        "protocol": str(binding.protocol),
        "nbma": str(binding.nbma),
        "created": round(binding.created, 3),
        "unique": binding.unique,
        "holding_time_s": binding.holding_time_s,
        "expires": binding.expires and round(binding.expires, 3),
        "request_id": binding.request_id,
        "resolved": binding.resolved,
        "natted": binding.natted,
    }


def renewal_of(domain: int, binding: Binding) -> str:
    """The record of a renewal, as JSON: a hub writes little else."""
    return (
        f'{{"renew":{domain},"protocol":"{binding.protocol}",'
        f'"expires":{binding.expires or 0:.3f},"request_id":{binding.request_id}}}'
    )


def renewed(binding: Binding, record: Record) -> Binding:
    """A binding after a `renew` record. Raises KeyError, TypeError or ValueError."""
    return replace(binding, expires=float(record["expires"]), request_id=int(record["request_id"]))


def binding_of(record: Record) -> Binding:
    """The binding of a `bind` record. Raises KeyError, TypeError or ValueError."""
    return Binding(
        interface=str(record["interface"]),
        protocol=ip_address(record["protocol"]),
        nbma=IPv4Address(record["nbma"]),
        created=float(record["created"]),
        unique=bool(record["unique"]),
        holding_time_s=int(record["holding_time_s"]),
        expires=float(record["expires"]),
        request_id=int(record["request_id"]),
        resolved=bool(record["resolved"]),
        natted=bool(record.get("natted", False)),
    )


def restorable(binding: Binding, tunnel: TunnelConfig, now: float) -> bool:
    """Whether a saved binding is valid still, on the tunnel as it is configured now."""
    holds = binding.expires is not None and now < binding.expires <= now + (binding.holding_time_s or 0)
    network, address = tunnel.address.network, tunnel.address.ip
    mapped = any(protocol == binding.protocol for protocol, _ in tunnel.static_maps)
    wanted = tunnel.resolve or not binding.resolved
    return holds and wanted and not mapped and binding.protocol in network and binding.protocol != address

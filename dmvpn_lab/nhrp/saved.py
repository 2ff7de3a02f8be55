"""What of an agent outlives it: request IDs and dynamic bindings (RFC 2332, section 5.2.3).

As records for the state file, and from them back; where the file is, the shell knows.

    {"id": 4711}                                      the last request ID used may be this one
    {"bind": 1, "interface": "tunnel0", ..., "length": 4, "of": "0a00000b0a00000c", "ids": [3, 6]}
                                                      network-id 1 has these bindings
    {"renew": 1, "expires": 901500, "length": 4, "of": "0a00000b0a00000c", "ids": [4, 7]}
    {"gone": 1, "protocol": "0a00000b"}               network-id 1 has it no more

An agent writes a record for each registration. So those that came together share one, with the
octets of one protocol address after the other; `ids` are the request IDs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Any

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.cache import Binding, Renewed
from dmvpn_lab.nhrp.config import TunnelConfig

Record = dict[str, Any]
Key = tuple[int, bytes]
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


@dataclass(slots=True)
class Changes:
    """What became different since the last record. Not frozen: that would be twice as much work to make."""

    last_id: int
    bindings: list[tuple[int, IpAddress, Binding | None]]
    """Network-id, protocol address, and its binding; None: it is gone."""
    renewed: list[tuple[int, Renewed]] = field(default_factory=list)
    """Network-id, and bindings that were told before: the same objects."""


def bind_lines(bindings: Iterable[tuple[int, Binding]]) -> list[str]:
    """The records of bindings, as JSON. Times are in ms: an integer is written in a third of the time."""
    together: dict[tuple[Any, ...], list[Binding]] = {}
    for domain, b in bindings:
        kind = (domain, b.interface, len(b.octets), b.created, b.expires, b.holding_time_s, b.unique,
                b.resolved, b.natted)  # fmt: skip
        together.setdefault(kind, []).append(b)
    return [
        f'{{"bind":{domain},"interface":{json.dumps(interface)},"created":{int(1000 * created)},'
        f'"expires":{int(1000 * (expires or 0))},"holding_time_s":{holding_time_s or 0},'
        f'"flags":{unique + 2 * resolved + 4 * natted},{_whose(length, told)},'
        f'"nbma":"{b"".join([each.nbma.packed for each in told]).hex()}"}}\n'
        for (domain, interface, length, created, expires, holding_time_s, unique, resolved, natted), told
        in together.items()
    ]  # fmt: skip


def gone_line(domain: int, protocol: IpAddress) -> str:
    """The record of a binding's end."""
    return f'{{"gone":{domain},"protocol":"{protocol.packed.hex()}"}}\n'


def renew_lines(renewed: Iterable[tuple[int, Renewed]]) -> list[str]:
    """The records of renewals: a hub writes little else."""
    return [
        f'{{"renew":{domain},"expires":{int(1000 * expires)},{_whose(len(told[0].octets), told)}}}\n'
        for domain, (expires, told) in renewed
        if told
    ]


def _whose(length: int, told: list[Binding]) -> str:
    octets = b"".join([each.octets for each in told]).hex()
    return f'"length":{length},"of":"{octets}","ids":{[each.request_id for each in told]}'


def renewals_of(record: Record) -> list[tuple[Key, float, int]]:
    """Whose end and request ID a `renew` record changes. Raises KeyError, TypeError or ValueError."""
    domain, expires = int(record["renew"]), record["expires"] / 1000
    return [((domain, octets), expires, request_id) for octets, request_id in _told(record)]


def bindings_of(record: Record) -> list[Binding]:
    """The bindings of a `bind` record. Raises KeyError, TypeError or ValueError."""
    flags, nbma = int(record["flags"]), bytes.fromhex(record["nbma"])
    return [
        Binding(
            interface=str(record["interface"]),
            protocol=ip_address(octets),
            nbma=IPv4Address(nbma[4 * at : 4 * at + 4]),
            created=record["created"] / 1000,
            unique=bool(flags & 1),
            holding_time_s=int(record["holding_time_s"]),
            expires=record["expires"] / 1000,
            request_id=request_id,
            resolved=bool(flags & 2),
            natted=bool(flags & 4),
        )
        for at, (octets, request_id) in enumerate(_told(record))
    ]


def _told(record: Record) -> list[tuple[bytes, int]]:
    """Protocol address and request ID of each that a record is about."""
    octets, step = bytes.fromhex(record["of"]), int(record["length"])
    starts = range(0, len(octets), step)
    return [(octets[at : at + step], int(number)) for at, number in zip(starts, record["ids"], strict=True)]


def restorable(binding: Binding, tunnel: TunnelConfig, now: float) -> bool:
    """Whether a saved binding is valid still, on the tunnel as it is configured now."""
    holds = binding.expires is not None and now < binding.expires <= now + (binding.holding_time_s or 0)
    network, address = tunnel.address.network, tunnel.address.ip
    mapped = any(protocol == binding.protocol for protocol, _ in tunnel.static_maps)
    wanted = tunnel.resolve or not binding.resolved
    return holds and wanted and not mapped and binding.protocol in network and binding.protocol != address

"""Renewals: requests that say, but for their ID, what their client's binding was made with.

A hub does little else, and many come at once. So one loop goes over all of them in which no function
of ours is called, and what is the same for many is done once, before it or behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.actions import Action, Registered
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.form import Form
from dmvpn_lab.nhrp.later import Later
from dmvpn_lab.nhrp.tunnel import Tunnel

_RECEIVED = counters.received(PacketType.REGISTRATION_REQUEST)
_SENT = counters.sent(PacketType.REGISTRATION_REPLY)

Received = tuple[bytes, IPv4Address | None]
"""A packet and its outer source; that is None on point-to-point GRE."""
Alike = tuple[float, int]
"""When bindings end, and how long their addresses are."""


def renew(tunnel: Tunnel, packets: Iterator[Received], now: float, actions: list[Action]) -> Received | None:
    """Renew what the next packets ask to, until one asks something else: that is returned.

    Adds what to do. The kernel is asked nothing: it has the neighbours for good.
    """
    done = Registered(tunnel.config.name, [], [], [])
    alike: dict[Alike, list[Binding]] = {}
    other = _renew(tunnel, packets, now, alike, done)
    if alike:
        for (expires, _), bindings in alike.items():
            tunnel.cache.renewed(expires, bindings)
        tunnel.counters[_RECEIVED] += len(done.replies)
        tunnel.counters[_SENT] += len(done.replies)
        actions.append(done)
    return other


def _renew(
    tunnel: Tunnel,
    packets: Iterator[Received],
    now: float,
    alike: dict[Alike, list[Binding]],
    done: Registered,
) -> Received | None:
    at, destination, form = tunnel.cache.at, tunnel.config.destination, None
    replies, nbmas, facts = done.replies, done.nbmas, done.facts
    for data, outer in packets:
        binding = at(data[32:36]) or at(data[32:48])  # IPv4, IPv6
        if binding is None or (client := binding.client) is None:
            return data, outer
        if client.form is not form:
            form = client.form
            if not _is_of(form, tunnel):
                return data, outer
            request, reply, same, more = form.request, form.reply, form.same, form.difference
            size, unpack, pack = request.layout.size, request.layout.unpack, reply.layout.pack
            expires = now + form.holding_time_s
            renewed = alike.setdefault((expires, len(binding.octets)), [])
        if len(data) != size:
            return data, outer
        head, checksum, lengths, number, rest = unpack(data)
        if (
            head != request.head
            or lengths != request.lengths
            or not same(rest, client.request)
            or (client.total + number + checksum) % 0xFFFF
            or binding.expires <= now  # type: ignore[operator]  # a static one has no client
            or (binding.nbma is not outer and binding.nbma != (outer or destination))
        ):
            return data, outer
        binding.expires, binding.request_id = expires, number
        renewed.append(binding)
        checksum += more
        if checksum >= 0xFFFF:
            checksum -= 0xFFFF
        replies.append(pack(reply.head, checksum, reply.lengths, number, client.reply))
        nbmas.append(binding.nbma)
        if client.facts is None:
            client.facts = told(binding, binding.nbma)
        facts.append(client.facts)
        if form.natted:
            tunnel.counters[counters.NBMA_MISMATCH] += 1
    return None


def _is_of(form: Form, tunnel: Tunnel) -> bool:
    """Whether a form was accepted by that interface, as it is now."""
    return form.part.parts is tunnel.parts and form.part.nbma is form.server


def told(binding: Binding, previous: IPv4Address | None) -> Later:
    """What `peer-registered` tells of a binding, and of the NBMA address that it had before."""
    return Later(lambda: {
        "interface": binding.interface,
        "protocol": str(binding.protocol),
        "nbma": str(binding.nbma),
        "holding_time_s": binding.holding_time_s,
        "unique": binding.unique,
        "previous_nbma": None if previous is None else str(previous),
    })  # fmt: skip

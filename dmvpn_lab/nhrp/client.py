"""The client's half of the agent: registration requests out, replies in."""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.actions import Action, Notify, SendPacket
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import (
    PREFIX_WHOLE,
    CieCode,
    ExtensionType,
    PacketType,
    PurgeFlag,
    RegistrationFlag,
    meaning,
)
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.nhc import OUTSTANDING, TRIES_TO_REPORT, Event, Registration, State
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.tunnel import Tunnel


class Client:
    """Registers tunnels with their servers."""

    def __init__(self, rng: random.Random, ids: RequestIds) -> None:
        self._rng = rng
        self._ids = ids

    def register(self, tunnel: Tunnel, trigger: str, now: float) -> list[Action]:
        """Begin anew with every server of a tunnel that has (another) source address.

        On a protected tunnel a server without an SA has to wait for it.
        """
        actions: list[Action] = []
        for registration in tunnel.registrations:
            if self._reachable(tunnel, registration):
                actions += self._begin(tunnel, registration, trigger, now)
            else:
                self._wait(tunnel, registration)
        return actions

    def secured(self, tunnel: Tunnel, peer: IPv4Address, now: float, *, fresh: bool = False) -> list[Action]:
        """There is an SA with a peer: register with the servers that are there.

        Who is registered renews it after a phase 2 that was finished just now: its peer may have lost more
        than SAs. The registration stays valid meanwhile.
        """
        actions: list[Action] = []
        for registration in tunnel.registrations:
            if tunnel.config.nbma_of(registration.nhs) != peer:
                continue
            if registration.state is State.WAITING:
                actions += self._begin(tunnel, registration, "ipsec-up", now)
            elif fresh:
                registration.begin(self._ids.next())
                registration.move(Event.TIMER)
                actions += self._send(tunnel, registration, "ipsec-up", now)
        return actions

    def unsecured(self, tunnel: Tunnel, peer: IPv4Address) -> None:
        """The SA with a peer is gone: what is registered there must be renewed once it is back."""
        for registration in tunnel.registrations:
            if tunnel.config.nbma_of(registration.nhs) == peer:
                self._wait(tunnel, registration)

    def stop(self, tunnel: Tunnel) -> list[Action]:
        """The tunnel has no source address any more."""
        for registration in tunnel.registrations:
            registration.stop()
        return []

    def leave(self, tunnel: Tunnel) -> list[Action]:
        """The router goes: servers that have us are to forget us at once (section 5.2.5).

        Nobody will be there for a reply, so none is asked for.
        """
        actions: list[Action] = []
        for registration in tunnel.registrations:
            nbma = tunnel.config.nbma_of(registration.nhs)
            if registration.valid_until is not None and nbma is not None and tunnel.nbma is not None:
                tunnel.counters[counters.sent(PacketType.PURGE_REQUEST)] += 1
                packet = self._purge(tunnel, registration)
                facts = {"interface": tunnel.name, "protocol": str(tunnel.config.address.ip),
                         "to": str(registration.nhs)}  # fmt: skip
                actions += [SendPacket(tunnel.name, nbma, encode(packet)), Notify("purge-sent", facts)]
            registration.stop()
        return actions

    def _purge(self, tunnel: Tunnel, registration: Registration) -> Packet:
        """Of our own registration."""
        config, us = tunnel.config, tunnel.config.address.ip
        return Packet(
            PacketType.PURGE_REQUEST,
            flags=PurgeFlag.NO_REPLY,
            request_id=self._ids.next(),
            source_nbma=tunnel.nbma,
            source_protocol=us,
            destination_protocol=registration.nhs,
            cies=(Cie(prefix_length=config.bits, protocol=us),),
            extensions=(authentication(config.authentication),) if config.authentication else (),
            protocol_type=config.protocol_type,
        )

    def tick(self, tunnel: Tunnel, now: float) -> list[Action]:
        """Retransmit or renew what is due."""
        actions: list[Action] = []
        for registration in tunnel.registrations:
            if registration.due is not None and registration.due <= now:
                actions += self._due(tunnel, registration, now)
        return actions

    def reply(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """A registration reply. Only one that answers an outstanding request counts."""
        registration = self._match(tunnel, packet, outer)
        if registration is None:
            tunnel.counters[counters.UNKNOWN_REPLY] += 1
            return []
        code = packet.cies[0].code if packet.cies else CieCode.SUCCESS
        facts: dict[str, Any] = {"interface": tunnel.name, "nhs": str(registration.nhs)}
        if code == CieCode.SUCCESS:
            config = tunnel.config
            registration.succeeded(now, config.holding_time_s, config.renewal_s)
            seen = self._outside(tunnel, packet)
            facts |= {"nbma": str(registration.nbma), "request_id": registration.request_id}
            return [*seen, Notify("registered", facts)]
        registration.refused(now, meaning(code), self._rng)
        facts |= {"code": code, "meaning": meaning(code)}
        return [Notify("registration-refused", facts)]

    def error(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> list[Action]:
        """An error indication: noted, never answered (section 5.2.7)."""
        tunnel.counters[counters.error(packet.error_code, direction="received")] += 1
        for registration in tunnel.registrations:
            if registration.state in OUTSTANDING and tunnel.config.nbma_of(registration.nhs) == outer:
                registration.last_error = f"error indication, code {packet.error_code}"
        return []

    def _reachable(self, tunnel: Tunnel, registration: Registration) -> bool:
        nbma = tunnel.config.nbma_of(registration.nhs)
        return nbma is None or tunnel.may_send_to(nbma)

    def _begin(self, tunnel: Tunnel, registration: Registration, trigger: str, now: float) -> list[Action]:
        registration.move(Event.SOURCE)
        registration.valid_until = None
        registration.refusals = 0
        registration.begin(self._ids.next())
        return self._send(tunnel, registration, trigger, now)

    def _wait(self, tunnel: Tunnel, registration: Registration) -> None:
        registration.stop()
        registration.last_error = f"no IPsec SA with {tunnel.config.nbma_of(registration.nhs)}"

    def _due(self, tunnel: Tunnel, registration: Registration, now: float) -> list[Action]:
        """The timer of a registration ran out."""
        actions: list[Action] = []
        if registration.state is State.RENEWING and now >= (registration.valid_until or 0.0):
            registration.move(Event.EXPIRED)
        renewal = registration.state is not State.REGISTERING and registration.state is not State.RENEWING
        if renewal:
            registration.begin(self._ids.next())
        elif registration.tries == TRIES_TO_REPORT:
            registration.requests_failed += 1
            facts = {
                "interface": tunnel.name,
                "nhs": str(registration.nhs),
                "tries": registration.tries,
            }
            actions.append(Notify("registration-timeout", facts))
        registration.move(Event.TIMER)
        return actions + self._send(tunnel, registration, "timer" if renewal else "retransmit", now)

    def _send(self, tunnel: Tunnel, registration: Registration, trigger: str, now: float) -> list[Action]:
        nbma = tunnel.config.nbma_of(registration.nhs)
        if nbma is None or tunnel.nbma is None:
            return []
        registration.nbma = tunnel.nbma
        registration.sent(now, self._rng)
        tunnel.counters[counters.sent(PacketType.REGISTRATION_REQUEST)] += 1
        data = encode(self._request(tunnel, registration, nbma))
        facts = {
            "interface": tunnel.name,
            "nhs": str(registration.nhs),
            "nbma": str(tunnel.nbma),
            "request_id": registration.request_id,
            "trigger": trigger,
        }
        # Told before it leaves: nobody hears of it before the event's own time.
        return [Notify("registration-sent", facts), SendPacket(tunnel.name, nbma, data)]

    def _request(self, tunnel: Tunnel, registration: Registration, server: IPv4Address) -> Packet:
        """A request as IOS makes it: one entry, extensions 3, 4, 5, 7, 9."""
        config = tunnel.config
        kinds = [
            ExtensionType.RESPONDER_ADDRESS,
            ExtensionType.FORWARD_TRANSIT_NHS,
            ExtensionType.REVERSE_TRANSIT_NHS,
        ]
        extensions = [Extension(kind) for kind in kinds]
        if config.authentication:
            extensions.append(authentication(config.authentication))
        us = Cie(prefix_length=config.bits, nbma=server, protocol=registration.nhs)
        extensions.append(Extension(ExtensionType.NAT_ADDRESS, False, encode_cie(us)))
        unique = RegistrationFlag.UNIQUE if config.unique else 0
        # Section 5.2.3: prefix length 0xFF goes with the uniqueness bit.
        return Packet(
            PacketType.REGISTRATION_REQUEST,
            flags=int(RegistrationFlag.NAT | unique),
            request_id=registration.request_id,
            source_nbma=tunnel.nbma,
            source_protocol=config.address.ip,
            destination_protocol=registration.nhs,
            cies=(
                Cie(
                    prefix_length=PREFIX_WHOLE if config.unique else config.bits,
                    mtu=config.mtu,
                    holding_time_s=config.holding_time_s,
                ),
            ),
            extensions=tuple(extensions),
            protocol_type=config.protocol_type,
        )

    def _outside(self, tunnel: Tunnel, packet: Packet) -> list[Action]:
        """What the server sees of us: its second entry in the NAT extension, when a NAT is between."""
        extension = packet.extension(ExtensionType.NAT_ADDRESS)
        entries = extension.cies() if extension is not None else ()
        seen = entries[1].nbma if len(entries) > 1 else None
        outside = seen if isinstance(seen, IPv4Address) and seen != tunnel.nbma else None
        if outside == tunnel.outside:
            return []
        for part in tunnel.parts:
            part.outside = outside
        facts = {"interface": tunnel.name, "nbma": str(tunnel.nbma), "outside": outside and str(outside)}
        return [Notify("nat-changed", facts)]

    def _match(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> Registration | None:
        for registration in tunnel.registrations:
            if (
                registration.state in OUTSTANDING
                and packet.request_id == registration.request_id
                and packet.destination_protocol == registration.nhs
                and packet.source_protocol == tunnel.config.address.ip
                and tunnel.config.nbma_of(registration.nhs) == outer
            ):
                return registration
        return None

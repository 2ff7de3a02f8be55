"""Short ways to make what the tests of the core need: agents, packets, and a kernel that answers."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from dmvpn_lab.nhrp.actions import Action, InstallNeighbour
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.constants import ExtensionType, PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.deck import HUB, HUB_NBMA, SPOKE, SPOKE_NBMA, TUNNEL


def hub_config(**changes: Any) -> TunnelConfig:
    """The hub's tunnel in the deck's lab."""
    config = TunnelConfig(
        name=TUNNEL,
        mode="multipoint",
        source="eth1",
        address=IPv4Interface("10.0.0.1/24"),
        network_id=1,
        mtu=1400,
        holding_time_s=300,
        unique=False,
        map_multicast_dynamic=True,
    )
    return replace(config, **changes)


def spoke_config(**changes: Any) -> TunnelConfig:
    """The tunnel of spoke A in the deck's lab."""
    config = TunnelConfig(
        name=TUNNEL,
        mode="multipoint",
        source="eth1",
        address=IPv4Interface("10.0.0.11/24"),
        network_id=1,
        mtu=1400,
        holding_time_s=300,
        unique=False,
        nhs=(HUB,),
        static_maps=((HUB, HUB_NBMA),),
        map_multicast=(HUB_NBMA,),
    )
    return replace(config, **changes)


def agent(*configs: TunnelConfig, seed: int = 1) -> Agent:
    """An agent whose tunnels have no source address yet."""
    return Agent(configs, random.Random(seed))


def hub(**changes: Any) -> Agent:
    """The hub at work at time 0."""
    made = agent(hub_config(**changes))
    made.source_changed(TUNNEL, HUB_NBMA, 0.0)
    return made


def request(
    protocol: IPv4Address = SPOKE,
    nbma: IPv4Address = SPOKE_NBMA,
    *,
    request_id: int = 5,
    unique: bool = False,
    cie: Cie | None = None,
    **changes: Any,
) -> Packet:
    """A registration request as IOS sends it."""
    packet = Packet(
        PacketType.REGISTRATION_REQUEST,
        flags=0x8000 if unique else 0,
        request_id=request_id,
        source_nbma=nbma,
        source_protocol=protocol,
        destination_protocol=HUB,
        cies=(cie or Cie(prefix_length=32, mtu=1400, holding_time_s=300),),
        extensions=(
            Extension(ExtensionType.RESPONDER_ADDRESS),
            Extension(ExtensionType.FORWARD_TRANSIT_NHS),
            Extension(ExtensionType.REVERSE_TRANSIT_NHS),
        ),
    )
    return replace(packet, **changes)


def purge(
    protocol: IPv4Address | None = SPOKE, *, flags: int = 0, prefix: int = 255, **changes: object
) -> Packet:
    entry = Cie(prefix_length=prefix, protocol=protocol)
    packet = request(cie=entry, request_id=77)
    return replace(packet, type=PacketType.PURGE_REQUEST, flags=flags)


def deliver(
    to: Agent, packet: Packet, nbma: IPv4Address | None = SPOKE_NBMA, now: float = 1.0, *, ok: bool = True
) -> list[Action]:
    """What an agent does about a packet when the kernel says `ok` to each neighbour."""
    return carry_out(to, to.receive(TUNNEL, encode(packet), nbma, now), now, ok=ok)


def carry_out(to: Agent, actions: list[Action], now: float, *, ok: bool = True) -> list[Action]:
    """Answer the tokens in a list of actions; what follows from it stands behind each."""
    done: list[Action] = []
    for action in actions:
        done.append(action)
        if isinstance(action, InstallNeighbour) and action.token is not None:
            done += carry_out(to, to.installed(action.token, ok, now), now, ok=ok)
    return done


def ask(
    of: Agent, packet: Packet, nbma: IPv4Address = SPOKE_NBMA, now: float = 1.0
) -> tuple[int, list[Action]]:
    """Deliver a request and leave its neighbour unanswered: the token, and what was done."""
    actions = of.receive(TUNNEL, encode(packet), nbma, now)
    (token,) = [a.token for a in actions if isinstance(a, InstallNeighbour) and a.token is not None]
    return token, actions


def summed(data: bytes | bytearray) -> bytes:
    """The packet with its checksum made right, whatever else is wrong with it."""
    out = bytearray(data)
    out[12:14] = bytes(2)
    size = struct.unpack_from("!H", out, 10)[0]
    out[12:14] = struct.pack("!H", checksum(bytes(out[:size])))
    return bytes(out)


def with_field(data: bytes, offset: int, value: bytes) -> bytes:
    """The packet with octets replaced and the checksum made right."""
    return summed(data[:offset] + value + data[offset + len(value) :])

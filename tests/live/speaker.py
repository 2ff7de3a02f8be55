"""A station that says what a test wants: a GRE link and an NHRP socket, without an agent."""

from __future__ import annotations

import select
import time
from ipaddress import IPv4Address, IPv4Interface

from dmvpn_lab.linux.gre import Gre, create_gre, retarget_gre
from dmvpn_lab.linux.nhrp_socket import NhrpSocket
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from tests.live.agents import HUB_NBMA, PATIENCE_S, Router

HUB = IPv4Address("10.0.0.1")


class Speaker:
    """Speaks NHRP from a router's namespace, out of a tunnel of its own."""

    def __init__(self, router: Router, address: str, *, key: int | None = 1, name: str = "tunnel0") -> None:
        self.router = router
        self.nbma = IPv4Address(router.netns.ip("-4 -br addr show eth1").split()[2].split("/")[0])
        self.protocol = IPv4Interface(address).ip
        gre = Gre(name, key, None, (IPv4Interface(address),), 1400)
        netlink = router.netns.netlink
        retarget_gre(netlink, gre, create_gre(netlink, gre).index, self.nbma)
        with router.netns.entered():
            self._socket = NhrpSocket(name)
        router.at_end.append(self.close)
        router.ping(HUB_NBMA)  # the lines' own ARP is done: it would drop most of a burst

    def send(self, data: bytes | Packet, nbma: str = HUB_NBMA) -> None:
        """To a NBMA address, the hub's if not told."""
        octets = data if isinstance(data, bytes) else encode(data)
        assert self._socket.send([octets], [IPv4Address(nbma)]) == 0

    def hear(self, patience_s: float = PATIENCE_S) -> list[Packet]:
        """What comes in next; AssertionError when nothing does."""
        assert select.select([self._socket], [], [], patience_s)[0], "nothing was answered"
        return [decode(data) for data, _nbma in self._socket.receive()]

    def ask(self, packet: Packet) -> Packet:
        """Send, and the one answer."""
        self.send(packet)
        (answer,) = self.hear()
        return answer

    def hear_many(self, count: int, patience_s: float) -> list[Packet]:
        """So many packets, or fewer when the time is over."""
        deadline, found = time.monotonic() + patience_s, list[Packet]()
        while len(found) < count:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self._socket], [], [], left_s)[0]:
                break
            found += [decode(data) for data, _nbma in self._socket.receive()]
        return found

    def registration(self, protocol: IPv4Address | None = None, *, number: int = 1, holding_time_s: int = 600,
                     secret: str | None = None, unique: bool = False) -> Packet:  # fmt: skip
        """A registration request to the hub."""
        return Packet(
            PacketType.REGISTRATION_REQUEST,
            flags=0x8000 if unique else 0,
            request_id=number,
            source_nbma=self.nbma,
            source_protocol=protocol or self.protocol,
            destination_protocol=HUB,
            cies=(Cie(prefix_length=255 if unique else 32, mtu=1400, holding_time_s=holding_time_s),),
            extensions=() if secret is None else (authentication(secret),),
        )

    def resolution(self, wanted: str, *, number: int = 1, extensions: tuple[Extension, ...] = ()) -> Packet:
        """A resolution request for a protocol address."""
        return Packet(
            PacketType.RESOLUTION_REQUEST,
            request_id=number,
            source_nbma=self.nbma,
            source_protocol=self.protocol,
            destination_protocol=IPv4Address(wanted),
            cies=(Cie(prefix_length=0, mtu=1400, holding_time_s=600),),
            extensions=extensions,
        )

    def close(self) -> None:
        """Stop listening; done for you when the world ends."""
        self._socket.close()

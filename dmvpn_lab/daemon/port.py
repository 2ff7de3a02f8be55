"""One tunnel's way in and out of the kernel: its GRE link, its NHRP socket, its multicast tap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.address import IpAddress
from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.linux.gre import Gre, create_gre, retarget_gre
from dmvpn_lab.linux.multicast import MulticastTap
from dmvpn_lab.linux.neighbour import broadcasts_of, list_neighbours, put_broadcast
from dmvpn_lab.linux.netlink import Netlink
from dmvpn_lab.linux.nhrp_socket import NhrpSocket
from dmvpn_lab.linux.route import reachable
from dmvpn_lab.nhrp.config import TunnelConfig

PROBES = 15
"""Times, a second apart, that the kernel asks for a neighbour: an agent may be restarted meanwhile."""


class TunnelError(DmvpnLabError):
    """The kernel refused something of one tunnel; the other tunnels go on."""


class Port:
    """A tunnel that is open. Made down; `retarget` sets it up."""

    def __init__(self, netlink: Netlink, config: TunnelConfig) -> None:
        """Make the link or take over an earlier agent's. Raises TunnelError."""
        self.config = config
        self.counters: Counter[str] = Counter()
        self._netlink = netlink
        addresses = tuple(part.address for part in config.parts())
        self._gre = Gre(config.name, config.key, config.destination, addresses, config.mtu,
                        PROBES if config.resolve else 0)  # fmt: skip
        self.mapped = frozenset(protocol for part in config.parts() for protocol, _ in part.static_maps)
        """Protocol addresses that are mapped for good."""
        networks = [each.network for each in addresses if isinstance(each.network, IPv4Network)]
        self._subnet = networks[0] if networks else None
        self.broadcasts = frozenset(broadcasts_of(self._subnet) if self._subnet is not None else ())
        """Addresses that are no peer's, and have a neighbour of their own."""
        self._peers: set[IPv4Address] = set()
        self._outgoing: list[bytes] = []
        self._receivers: list[IPv4Address] = []
        """Where each of those goes."""
        self._with_inherited = False
        self.tap: MulticastTap | None = None
        """None on point-to-point GRE, which carries multicast by itself."""
        try:
            link = create_gre(netlink, self._gre)
            self.index = link.index
            self.up = link.up
            """The link was up when it was opened: an earlier agent's, with its neighbours."""
            self._left = list_neighbours(netlink, self.index)
            self.inherited: set[IpAddress] = set(self._left)
            """Neighbours that an earlier agent left and that nobody has registered again yet."""
            self.nhrp = NhrpSocket(config.name)
            if config.mode == "multipoint":
                self.tap = MulticastTap(config.name, self._subnet, ipv6=self._gre.ipv6)
                self.set_peers(frozenset())
        except (DmvpnLabError, OSError) as error:
            raise TunnelError(f"{config.name}: {error}") from error

    def retarget(self, nbma: IPv4Address) -> None:
        """Use that source address from now on. Raises TunnelError."""
        try:
            retarget_gre(self._netlink, self._gre, self.index, nbma)
        except DmvpnLabError as error:
            raise TunnelError(f"{self.config.name}: {error}") from error
        self.let_broadcast_out()

    def let_broadcast_out(self) -> None:
        """Have the tap see broadcasts; a link that was set down has forgotten how.

        What the kernel refuses here it refuses because the link is gone, and that is told apart.
        """
        if self.tap is not None and self._subnet is not None:
            self._netlink.apply(put_broadcast(self.index, self._subnet))

    def servers_reachable(self, nbma: IPv4Address) -> bool:
        """Whether there is a route from that source to every next hop server, now.

        Raises TunnelError."""
        servers = [self.config.nbma_of(nhs) for nhs in self.config.nhs]
        try:
            return all(each is None or reachable(self._netlink, each, nbma) for each in servers)
        except DmvpnLabError as error:
            raise TunnelError(f"{self.config.name}: {error}") from error

    def set_peers(self, peers: frozenset[IPv4Address] | None = None) -> None:
        """Copy multicast to these NBMA addresses (None: to the same as before) and to the inherited ones.

        A routing protocol would lose its neighbours between a restart and their next registration.
        """
        self._peers = self._peers if peers is None else set(peers)
        if self.tap is not None:
            dynamic = self.inherited if self.config.map_multicast_dynamic else ()
            self._with_inherited = bool(dynamic)
            self.tap.set_peers(frozenset(self._peers) | {self._left[protocol] for protocol in dynamic})

    def change_peers(self, added: tuple[IPv4Address, ...], removed: tuple[IPv4Address, ...]) -> None:
        """Copy multicast to these too, and no more to those."""
        self._peers.difference_update(removed)
        self._peers.update(added)
        if self._with_inherited:
            self.set_peers()  # one of those may be an inherited one
        elif self.tap is not None:
            self.tap.change_peers(added, removed)

    def put(self, packets: Iterable[bytes], nbmas: Iterable[IPv4Address]) -> None:
        """Have NHRP sent by the next `send`, each packet to its NBMA address."""
        self._outgoing += packets
        self._receivers += nbmas

    def send(self) -> None:
        """Send what was put; what the kernel does not take now is counted, the core sends again."""
        if self._outgoing:
            packets, self._outgoing = self._outgoing, []
            nbmas, self._receivers = self._receivers, []
            failed = self.nhrp.send(packets, nbmas)
            if failed:
                self.counters["send-failed"] += failed

    def all_counters(self) -> dict[str, int]:
        """What this port counts, beside the core's counters."""
        found = dict(self.counters)
        if self.tap is not None:
            found["multicast-packets"] = self.tap.packets
            found["multicast-copies"] = self.tap.sent
            found["multicast-copies-failed"] = self.tap.failures
        return {name: count for name, count in found.items() if count}

    def close(self) -> None:
        """Close the sockets; the link stays, for the next agent."""
        self.nhrp.close()
        if self.tap is not None:
            self.tap.close()

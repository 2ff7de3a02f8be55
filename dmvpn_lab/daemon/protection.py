"""Tunnel protection at work: joins the pure protector, charon and the kernel's states.

Lives on the agent's loop like everything else: charon's socket and the kernel's events are read when
there is something to read, and what the protector says is carried out at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from dmvpn_lab.answers import IpsecEntry
from dmvpn_lab.daemon.alarm import Alarm
from dmvpn_lab.daemon.certificates import Certificates
from dmvpn_lab.ipsec import sa
from dmvpn_lab.ipsec.actions import Action, Ask, Count, DeleteStates, PeerLost, PeerSecured, StateId, Tell
from dmvpn_lab.ipsec.config import IpsecConfig
from dmvpn_lab.ipsec.protector import Protector
from dmvpn_lab.linux.ike import Answer, Event, Ike
from dmvpn_lab.linux.netlink import Netlink, NetlinkError
from dmvpn_lab.linux.xfrm import NETLINK_XFRM, StateWatch, delete_states, list_states
from dmvpn_lab.nhrp.actions import Protect

SOCKET = Path("/run/charon.vici")
CONNECT_S = 0.05
"""Between two tries to reach charon, which does not say when it begins to listen."""
EVENTS = ("list-sa", "ike-updown", "ike-rekey", "child-updown", "child-rekey")

Publish = Callable[[str, dict[str, Any]], None]
PeerChange = Callable[[PeerSecured | PeerLost], None]


class Protection:
    """The IPsec side of one agent."""

    def __init__(
        self, config: IpsecConfig, publish: Publish, peer_change: PeerChange, log: logging.Logger
    ) -> None:
        """`peer_change` is told of each peer that is secured or lost."""
        self._certificates = Certificates(config.certificates)
        self._publish = publish
        self._peer_change = peer_change
        self._log = log
        self._protector = Protector(config)
        self._ike: Ike | None = None
        self._retry: asyncio.TimerHandle | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin: watch the kernel, find charon. Raises HostError."""
        self._loop = loop
        self._alarm = Alarm(loop, self._protector.deadline, self._tick)
        self._xfrm = Netlink(NETLINK_XFRM)
        self._states = StateWatch()
        loop.add_reader(self._states.fileno(), self._states_changed)
        self._connect()

    def close(self) -> None:
        """Stop. SAs stay: the tunnels stay, too."""
        self._alarm.cancel()
        if self._retry is not None:
            self._retry.cancel()
        if self._ike is not None:
            self._loop.remove_reader(self._ike.fileno())
            self._ike.close()
        self._loop.remove_reader(self._states.fileno())
        self._states.close()
        self._xfrm.close()

    # --- what the tunnels tell ----------------------------------------------------------------------

    def source_changed(self, nbma: IPv4Address | None) -> None:
        """The tunnels' source address is another one now, or has gone."""
        self._perform(self._protector.source_changed(nbma, self._loop.time()))

    def peers_changed(self, wishes: Collection[Protect]) -> None:
        """These NBMA addresses must be secured, for one tunnel or another."""
        all_of_them = frozenset(peer for each in wishes for peer in each.peers)
        at_once = frozenset(peer for each in wishes for peer in each.peers - each.on_demand)
        self._perform(self._protector.peers_changed(all_of_them, self._loop.time(), all_of_them - at_once))

    def secured(self) -> list[PeerSecured]:
        """Every peer that is secured from the present address."""
        return self._protector.secured()

    def view(self) -> list[IpsecEntry]:
        """The SAs, by peer, the newest last; with their packets as the kernel counts them."""
        packets = {(s.destination, s.spi): s.packets for s in list_states(self._xfrm)}
        return [
            IpsecEntry(
                local=str(c.local), nbma=str(c.peer), identity=c.identity, ike=c.ike, transform=c.protocol,
                spi_in=f"{c.spi_in:08x}", spi_out=f"{c.spi_out:08x}",
                packets_in=packets.get((c.local, c.spi_in), 0),
                packets_out=packets.get((c.peer, c.spi_out), 0), encapsulated=c.encapsulated,
            )
            for c in sorted(self._protector.children.values(), key=lambda c: (c.peer, c.number))
        ]  # fmt: skip

    # --- charon -------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Reach charon, or try again a moment later."""
        self._retry = None
        try:
            ike = Ike(SOCKET)
        except OSError:
            self._retry = self._loop.call_later(CONNECT_S, self._connect)
            return
        self._ike = ike
        self._loop.add_reader(ike.fileno(), self._read)
        try:
            for event in EVENTS:
                ike.register(event)
            for command, message in self._certificates.load():
                ike.request(command, message)
            ike.request("list-sas", {}, items="list-sa")
        except OSError as error:
            self._disconnected(error)

    def _renew(self) -> None:
        """Give charon the certificates that somebody has renewed."""
        try:
            commands = self._certificates.renewed()
        except OSError as error:
            self._log.error("certificates: %s", error)
            return
        for command, message in commands:
            self._ask(command, message)

    def _disconnected(self, error: OSError) -> None:
        if self._ike is None:
            return
        self._log.warning("charon: %s", error)
        self._loop.remove_reader(self._ike.fileno())
        self._ike.close()
        self._ike = None
        self._protector.disconnected()
        self._publish("ike-lost", {})
        self._retry = self._loop.call_later(CONNECT_S, self._connect)

    def _read(self) -> None:
        if self._ike is None:
            return
        try:
            said = self._ike.read()
        except OSError as error:
            self._disconnected(error)
            return
        for each in said:
            if isinstance(each, Event):
                self._event(each)
            else:
                self._answer(each)

    def _answer(self, answer: Answer) -> None:
        if answer.command == "list-sas":
            children = [child for item in answer.items for child in sa.decode_children(item)]
            states = frozenset(StateId(s.source, s.destination, s.spi) for s in list_states(self._xfrm))
            self._perform(self._protector.connected(children, states, self._loop.time()))
            self._publish("ike-ready", {})
        elif answer.error is not None and answer.command not in ("terminate", "unload-conn"):
            # Nothing to end is no error; all else is told, and tried again in time.
            self._log.error("charon refused %s: %s", answer.command, answer.error)

    def _event(self, event: Event) -> None:
        now = self._loop.time()
        up = event.message.get("up") == "yes"
        if event.name == "child-updown" and up:
            for child in sa.decode_children(event.message):
                self._perform(self._protector.child_up(child, now))
        elif event.name == "child-updown":
            for number in sa.decode_numbers(event.message):
                self._perform(self._protector.child_down(number, now))
        elif event.name == "child-rekey":
            old, child_ = sa.decode_rekeyed(event.message)
            if old is not None and child_ is not None:
                self._perform(self._protector.rekeyed(old, child_))
        elif event.name == "ike-rekey":
            if (pair := sa.decode_ike_rekeyed(event.message)) is not None:
                self._protector.ike_rekeyed(*pair)
        elif event.name == "ike-updown":
            if not up:  # perhaps for the sake of a certificate
                self._renew()
            for name, ike in sa.decode_ikes(event.message):
                if up:
                    self._protector.ike_up(ike)
                else:
                    self._perform(self._protector.ike_down(ike, name, now))

    # --- kernel and time ----------------------------------------------------------------------------

    def _states_changed(self) -> None:
        self._protector.states_deleted(self._states.read(), self._loop.time())
        self._alarm.set()

    def _tick(self) -> None:
        self._perform(self._protector.tick(self._loop.time()))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Ask(command, message):
                    if command == "initiate":
                        self._renew()
                    self._ask(command, message)
                case DeleteStates(states):
                    self._delete(states)
                case Count(peers):
                    self._perform(self._protector.counted(self._received(peers), self._loop.time()))
                case PeerSecured() | PeerLost():
                    self._peer_change(action)
                case Tell(name, facts):
                    self._publish(name, facts)
        self._alarm.set()

    def _received(self, peers: frozenset[IPv4Address]) -> dict[IPv4Address, int]:
        """Packets of each of these peers in the states that there are."""
        counts = dict.fromkeys(peers, 0)
        for state in list_states(self._xfrm):
            if state.source in counts:
                counts[state.source] += state.packets
        return counts

    def _ask(self, command: str, message: dict[str, Any]) -> None:
        if self._ike is None:
            return  # it is told everything when it comes back
        try:
            self._ike.request(command, message)
        except OSError as error:
            self._disconnected(error)

    def _delete(self, states: frozenset[StateId]) -> None:
        try:
            delete_states(self._xfrm, [(state.destination, state.spi) for state in states])
        except NetlinkError as error:
            self._log.error("%s", error)

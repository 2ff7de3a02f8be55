"""A hub with many spokes, and the things that happen to them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.config import Overlay, TunnelConfig
from tests.simulation.network import Conditions, Network, Router

TUNNEL_NET = IPv4Network("10.0.0.0/16")
NBMA_NET = IPv4Network("172.16.0.0/12")
HUB, HUB_NBMA = TUNNEL_NET[1], IPv4Address("192.0.2.1")
IPV6_SUBNETS = (IPv6Address("2001:db8::"), IPv6Address("fe80::"))
"""Of a dual stack: global and link-local addresses, with the number of the IPv4 address."""
HOLDING_TIME_S = 300
REGISTERED_S = HOLDING_TIME_S / 3


@dataclass(slots=True)
class Cloud:
    """One DMVPN at work."""

    network: Network
    hub: Router
    spokes: list[Router]
    used: int = 0
    """NBMA addresses handed out so far."""

    def fresh(self) -> IPv4Address:
        """An NBMA address that nobody ever had."""
        self.used += 1
        return NBMA_NET[self.used]

    def live(self) -> list[Router]:
        """Spokes that are up and have an address."""
        return [spoke for spoke in self.spokes if spoke.alive and spoke.nbma is not None]

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.network.run(self.network.now + seconds)

    def bound(self) -> dict[IpAddress, IPv4Address]:
        """Protocol address -> NBMA address in the hub's cache."""
        (cache,) = self.hub.agent.domains.values()
        return {binding.protocol: binding.nbma for binding in cache}

    def wanted(self) -> dict[IpAddress, IPv4Address | None]:
        """What it should be: every live spoke at its present address, and nothing else."""
        return {protocol: spoke.nbma for spoke in self.live() for protocol in spoke.protocols}

    def assert_settled(self) -> None:
        """Hub and spokes agree, in their caches and in their kernels."""
        wanted = self.wanted()
        assert self.bound() == wanted
        assert self.hub.neighbours == wanted
        assert self.hub.multicast == frozenset(wanted.values())
        for spoke in self.live():
            servers = spoke.agent.nhs(self.network.now)
            assert [each["protocol"] for each in servers] == [str(each) for each in spoke.static_maps]
            for server in servers:
                assert (server["state"], server["nbma"]) == ("registered", str(HUB_NBMA)), spoke.name
            assert spoke.neighbours == spoke.static_maps
            assert set(spoke.neighbours.values()) == {HUB_NBMA}
            assert spoke.multicast == {HUB_NBMA}

    # --- what happens ---------------------------------------------------------------------------

    def readdress(self, spoke: Router) -> None:
        """A new lease."""
        if spoke.alive:
            spoke.address(self.fresh())

    def swap(self, one: Router, other: Router) -> None:
        """Each gets the address that the other had."""
        if one.alive and other.alive and one is not other:
            first, second = one.nbma, other.nbma
            one.address(None)
            other.address(first)
            one.address(second)

    def gap(self, spoke: Router, seconds: float) -> None:
        """No address for a while, then the old one again or another."""
        if not spoke.alive or spoke.nbma is None:
            return
        again = spoke.nbma if self.network.rng.random() < 0.5 else self.fresh()
        spoke.address(None)
        life = spoke.life

        def back() -> None:
            if spoke.life == life and spoke.nbma is None and again not in self.network.owner:
                spoke.address(again)

        self.network.later(seconds, back)

    def restart(self, router: Router, *, nbma: IPv4Address | None = None, after_s: float = 0.0) -> None:
        """Crash, and boot again after a while, at the same or another address."""
        if not router.alive:
            return
        again = nbma or router.nbma or self.fresh()
        router.crash()
        life = router.life

        def boot() -> None:
            if router.life == life and not router.alive:
                router.start(self.fresh() if again in self.network.owner else again)

        self.network.later(after_s, boot)

    def something_happens(self) -> None:
        """One thing of many, to a spoke of many; rarely to the hub."""
        rng = self.network.rng
        spoke, other = rng.sample(self.spokes, 2)
        match rng.choices(range(7), weights=(40, 15, 15, 10, 10, 4, 1))[0]:
            case 0:
                self.readdress(spoke)
            case 1:
                self.swap(spoke, other)
            case 2:
                self.gap(spoke, rng.uniform(0.1, 60))
            case 3:
                self.restart(spoke, after_s=rng.uniform(0, 120))
            case 4:
                self.restart(spoke, nbma=self.fresh(), after_s=rng.uniform(0, 120))
            case 5:
                if spoke.alive:
                    spoke.crash()
            case _:
                self.restart(self.hub, after_s=rng.uniform(0, 20))

    def bad_times(self, seconds: float, things: int) -> None:
        """Many things happen, at random times."""
        for _ in range(things):
            self.network.later(self.network.rng.uniform(0, seconds), self.something_happens)
        self.run(seconds)


def cloud(seed: int, spokes: int, conditions: Conditions | None = None, *, unique: bool = False,
          dual_stack: bool = False, phase_3: bool = False) -> Cloud:  # fmt: skip
    """A hub that is up, and spokes that come up in the first second."""
    network = Network(seed, conditions or Conditions())
    hub = Router(
        "hub", _config(HUB, map_multicast_dynamic=True, dual_stack=dual_stack, phase_3=phase_3), network
    )
    hub.start(HUB_NBMA)
    made = Cloud(network, hub, [])
    for number in range(spokes):
        config = _config(
            TUNNEL_NET[number + 10],
            unique=unique,
            nhs=(HUB,),
            static_maps=((HUB, HUB_NBMA),),
            map_multicast=(HUB_NBMA,),
            dual_stack=dual_stack,
            phase_3=phase_3,
        )
        spoke = Router(f"spoke-{number}", config, network)
        made.spokes.append(spoke)
        nbma = made.fresh()
        network.later(network.rng.random(), lambda spoke=spoke, nbma=nbma: spoke.start(nbma))  # type: ignore[misc]
    return made


def _overlays(address: IPv4Address, *, hub: bool) -> tuple[Overlay, ...]:
    number, first = int(address) - int(TUNNEL_NET[0]), int(HUB) - int(TUNNEL_NET[0])
    return tuple(
        Overlay(
            IPv6Interface((subnet + number, 64)),
            () if hub else (subnet + first,),
            () if hub else ((subnet + first, HUB_NBMA),),
        )
        for subnet in IPV6_SUBNETS
    )


def _config(address: IPv4Address, *, unique: bool = False, map_multicast_dynamic: bool = False,
            dual_stack: bool = False, phase_3: bool = False, nhs: tuple[IPv4Address, ...] = (),
            map_multicast: tuple[IPv4Address, ...] = (),
            static_maps: tuple[tuple[IPv4Address, IPv4Address], ...] = ()) -> TunnelConfig:  # fmt: skip
    return TunnelConfig(
        name="tunnel0",
        mode="multipoint",
        source="eth1",
        address=IPv4Interface(f"{address}/{TUNNEL_NET.prefixlen}"),
        network_id=1,
        mtu=1400,
        authentication="secret",
        holding_time_s=HOLDING_TIME_S,
        unique=unique,
        nhs=nhs,
        static_maps=static_maps,
        map_multicast=map_multicast,
        map_multicast_dynamic=map_multicast_dynamic,
        resolve=phase_3 and bool(nhs),
        shortcut=phase_3 and bool(nhs),
        redirect=phase_3 and not nhs,
        overlays=_overlays(address, hub=not nhs) if dual_stack else (),
    )

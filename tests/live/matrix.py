"""Every routing protocol in every phase, with and without IPsec: what each needs in a topology."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from tests.live.labs import TOPOLOGIES

LINE = "    routing: {protocol: rip, split-horizon: false, hello: 5, hold: 15}\n"
"""Of the topology that all are made from."""
IPSEC = "    ipsec: {transform-set: esp-gcm 128, pre-shared-key: dmvpn-lab}\n"
TO_THE_HUB = {
    "eigrp": "split-horizon: false, bandwidth: 1000",
    "ospf": "network-type: point-to-multipoint, hello: 5, dead: 20",
    "bgp": "hello: 5, hold: 15",
    "rip": "split-horizon: false, hello: 5, hold: 15",
    "odr": "hello: 5, hold: 15",
}
"""The next hop of everything is the hub: phases 1 and 3."""
TO_THE_SPOKE = {
    "eigrp": "split-horizon: false, bandwidth: 1000, next-hop-self: false",
    "ospf": "network-type: broadcast, hello: 2, dead: 8",
    "bgp": "hello: 5, hold: 15, next-hop-self: false",
    "rip": "split-horizon: false, hello: 5, hold: 15, next-hop-self: false",
}
"""The next hop is the other spoke: phase 2, which ODR cannot do."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One cell."""

    protocol: str
    phase: int
    ipsec: bool

    @property
    def possible(self) -> bool:
        """Whether the protocol can do that phase."""
        return self.phase != 2 or self.protocol in TO_THE_SPOKE

    @property
    def name(self) -> str:
        """For a test, and for its lab."""
        return f"{self.protocol}-{self.phase}{'-ipsec' if self.ipsec else ''}"

    def topology(self) -> str:
        """The deck's lab with this combination, as text."""
        needs = TO_THE_SPOKE if self.phase == 2 and self.possible else TO_THE_HUB
        cloud = f"    phase: {self.phase}\n" + (IPSEC if self.ipsec else "")
        cloud += f"    routing: {{protocol: {self.protocol}, {needs[self.protocol]}}}\n"
        text = (TOPOLOGIES / "hub-and-spoke-rip.yml").read_text()
        assert LINE in text
        return text.replace(LINE, cloud).replace("lab: hub-and-spoke-rip", f"lab: matrix-{self.name}")


ALL = tuple(Combination(*each) for each in itertools.product(TO_THE_HUB, (1, 2, 3), (False, True)))
SLICE = (Combination("odr", 1, True), Combination("eigrp", 2, True), Combination("rip", 3, False))
"""With the labs of other tests (OSPF in phases 1 and 2, BGP in phases 1 and 3, EIGRP, RIP and ODR in
phase 1, OSPF with IPsec), each protocol, each phase and IPsec meet the others."""

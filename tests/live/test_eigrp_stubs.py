"""Every kind of EIGRP stub on real sockets: what each announces, and that none is asked anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.eigrp.constants import Stub
from tests.live.agents import Router, World, tunnel, world
from tests.live.frr import eventually
from tests.live.namespaces import wire
from tests.live.test_eigrp_frr import interface, lan

pytestmark = pytest.mark.live

LEAK = "10.200.0.0/16"
KINDS = {
    1: (Stub.CONNECTED, {"10.1.0.0/24"}),
    2: (Stub.STATIC, {"10.2.77.0/24"}),
    3: (Stub.SUMMARY, {"10.3.0.0/16"}),
    4: (Stub.REDISTRIBUTED, {"10.4.77.0/24"}),
    5: (Stub.RECEIVE_ONLY, set[str]()),
    6: (Stub.CONNECTED | Stub.LEAK, {"10.6.0.0/24", "192.0.2.64/30", "10.200.1.0/24"}),
}
"""Number of a spoke -> what it is, and what the hub learns of it.

Each has the LAN 10.N.0.0/24, a static route 10.N.77.0/24 out of it, and a summary 10.N.0.0/16. Behind the
last is a router with 10.200.1.0/24, which leaks, and 10.201.1.0/24, which does not."""


def speaking(router: Router, number: int, *interfaces: dict[str, Any], **options: Any) -> None:
    """EIGRP on some interfaces, and on a LAN."""
    router.config["eigrp"] = {"asn": 1, "router_id": f"10.255.0.{number}", "stub": None,
                              "interfaces": list(interfaces), **options}  # fmt: skip


def passive(router: Router, name: str, network: str, **changes: Any) -> dict[str, Any]:
    """A LAN of a router; the first address is its own."""
    address = network.replace(".0/", ".1/")
    lan(router.netns, name, address)
    return interface(name, address, passive=True, **changes)


def wired(left: Router, right: Router, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two ends of a new wire."""
    ends = [f"192.0.2.{4 * number + n}/30" for n in (1, 2)]
    wire(left.netns, f"wire{number}", right.netns, f"wire{number}")
    for router, address in zip((left, right), ends, strict=True):
        router.netns.add(f"wire{number}", address)
    first, second = (interface(f"wire{number}", address) for address in ends)
    return first, second


def star(made: World) -> tuple[Router, Router, list[Router]]:
    """The hub, the router behind the spoke that leaks, and all of them."""
    hub, far = (made.add(name, f"172.17.{n}.1/24", tunnel(f"10.9.0.{n}/24")) for n, name in
                enumerate(("hub", "far"), 1))  # fmt: skip
    routers, wires = [hub, far], []
    for number, (stub, _) in KINDS.items():
        spoke = made.add(f"spoke-{number}", f"172.16.{number}.1/24", tunnel(f"10.9.0.1{number}/24"))
        ours, theirs = wired(hub, spoke, number)
        wires.append(ours)
        theirs["summaries"] = [f"10.{number}.0.0/16"] if stub == Stub.SUMMARY else []
        behind = passive(spoke, "lan1", f"10.{number}.0.0/24", statics=[f"10.{number}.77.0/24"])
        interfaces = [theirs, behind]
        options: dict[str, Any] = {"stub": int(stub)}
        if stub & Stub.LEAK:
            to_far, to_spoke = wired(spoke, far, 16)
            interfaces.append(to_far)
            lans = [passive(far, f"lan{n}", f"10.20{n}.1.0/24") for n in (0, 1)]
            speaking(far, 100, to_spoke, *lans)
            options["leaks"] = [LEAK]
        speaking(spoke, number, *interfaces, **options)
        routers.append(spoke)
    speaking(hub, 99, *wires, passive(hub, "lan1", "10.99.0.0/24"))
    return hub, far, routers


def learned(router: Router, link: str) -> set[str]:
    """Destinations that a router has installed over a link."""
    lines = router.netns.ip(f"route show dev {link} proto 88").splitlines()
    return {line.split()[0] for line in lines}


def test_each_kind_announces_what_it_says_and_none_is_asked_when_a_network_is_lost(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        hub, far, routers = star(made)
        controls = {router.name: router.start() for router in routers}
        wanted = {f"wire{number}": said for number, (_, said) in KINDS.items()}
        eventually(lambda: {link: learned(hub, link) for link in wanted} == wanted,
                   lambda: {link: learned(hub, link) for link in wanted})  # fmt: skip
        neighbours = {n["interface"]: n["stub"] for n in controls["hub"].query("eigrp-neighbors")}
        assert neighbours == {f"wire{number}": stub for number, (stub, _) in KINDS.items()}
        deaf = made.routers[-2]
        eventually(lambda: "10.99.0.0/24" in learned(deaf, "wire5"), lambda: learned(deaf, "wire5"))
        far.netns.down("lan0")
        eventually(lambda: "10.200.1.0/24" not in learned(hub, "wire6"), lambda: learned(hub, "wire6"))
        assert controls["hub"].query("eigrp-traffic")["counters"].get("sent-query", 0) == 0

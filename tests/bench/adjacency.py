"""Seconds until two routers on one wire have each other's LAN, and until a lost LAN is forgotten.

Ours beside FRR's eigrpd and ospfd, two of a kind, hello 2 s and hold 6 s (OSPF as point-to-point, so
that it elects nobody). Every router has started when the wire comes up, which is when the clock does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.figures import Figure, say
from tests.live.agents import Router, World, tunnel, world
from tests.live.frr import Frr
from tests.live.test_eigrp_frr import interface, lan

GROUP = "adjacency"
KINDS = ("ours", "eigrpd", "ospfd")
PATIENCE_S = 60.0
EIGRPD = """hostname peer
interface wire
 ip hello-interval eigrp 1 2
 ip hold-time eigrp 1 6
!
router eigrp 1
 eigrp router-id {router_id}
 network 192.0.2.0/24
 network {lan}
!
"""
OSPFD = """hostname peer
interface wire
 ip ospf network point-to-point
 ip ospf hello-interval 2
 ip ospf dead-interval 6
!
router ospf
 ospf router-id {router_id}
 network 192.0.2.0/24 area 0
 network {lan} area 0
!
"""


def measure(folder: Path) -> list[Figure]:
    """Of each kind: to the route, and to its end."""
    figures = []
    for kind in KINDS:
        say(f"adjacency: {kind}")
        with pair(kind, folder) as (left, right):
            began = time.monotonic()
            for router in (left, right):
                router.netns.up("wire")
            learned = _until(lambda left=left: "192.168.2.0/24" in left.netns.ip("route show"), began)
            right.netns.ip("link set lan1 down")
            lost_at = time.monotonic()
            gone = _until(lambda left=left: "192.168.2.0/24" not in left.netns.ip("route show"), lost_at)
        figures.append(Figure(GROUP, f"{kind}: a new wire to the far LAN's route", learned, "s"))
        figures.append(Figure(GROUP, f"{kind}: a lost LAN to the end of its route", gone, "s"))
    return figures


@contextlib.contextmanager
def pair(kind: str, folder: Path) -> Iterator[tuple[Router, Router]]:
    """Two routers of a kind that have started, with a LAN each and a wire between them that is down."""
    with world(folder) as made, contextlib.ExitStack() as stack:
        routers = [made.add(f"{kind}-{n}", f"172.16.{n}.1/24", tunnel(f"10.0.0.{n}/24")) for n in (1, 2)]
        _wire(made, *routers)
        for number, router in enumerate(routers, 1):
            lan(router.netns, "lan1", f"192.168.{number}.1/24")
            _start(kind, number, router, folder, stack)
        yield routers[0], routers[1]


def _wire(made: World, left: Router, right: Router) -> None:
    left.netns.ip(f"link add wire type veth peer name wire netns {right.netns.path}")
    for number, router in enumerate((left, right), 1):
        router.netns.ip(f"addr add 192.0.2.{number}/24 dev wire")


def _start(kind: str, number: int, router: Router, folder: Path, stack: contextlib.ExitStack) -> None:
    network = f"192.168.{number}.0/24"
    if kind == "ours":
        wire = interface("wire", f"192.0.2.{number}/24")
        behind = interface("lan1", f"192.168.{number}.1/24", passive=True)
        router.config["eigrp"] = {"asn": 1, "router_id": f"10.0.0.{number}", "stub": None,
                                  "interfaces": [wire, behind]}  # fmt: skip
        router.start()
        return
    text = (EIGRPD if kind == "eigrpd" else OSPFD).format(router_id=f"10.0.0.{number}", lan=network)
    daemon = Frr(router.netns, folder, text, kind, f"bench-{kind}-{number}")
    stack.callback(daemon.close)


def _until(true: Callable[[], bool], began: float) -> float:
    """Seconds from a moment until something is true; PATIENCE_S at the most. Raises AssertionError."""
    while not true():
        assert time.monotonic() - began < PATIENCE_S, f"not within {PATIENCE_S:.0f} s"
        time.sleep(0.02)
    return round(time.monotonic() - began, 2)

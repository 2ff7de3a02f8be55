"""How soon two routers on one wire have each other's LAN, and how soon they forget what is lost.

Ours beside FRR's eigrpd and ospfd, two of a kind, hello 2 s and hold 6 s (OSPF as point-to-point, so
that it elects nobody). Every router has started when the wire comes up, which is when the clock does.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from dmvpn_lab.linux.shortcut_route import find
from tests.bench.figures import Figure, say
from tests.live.agents import Router, World, tunnel, world
from tests.live.frr import Frr
from tests.live.test_eigrp_frr import interface, lan

GROUP = "adjacency"
KINDS = ("ours", "eigrpd", "ospfd")
PATIENCE_S = 60.0
KEPT_S = 20.0
"""More than three hold times: a route that is there for so long after its end is kept."""
LAN, STAYING = "192.168.{}.0/24", "192.168.1{}.0/24"
"""Of router 1 or 2: the LAN that is lost, and the one that is there until the router falls silent."""
SILENCE = """table inet silence {
  chain output { type filter hook output priority filter; policy drop; }
}
"""
NEW_WIRE = "a new wire to the far LAN's route"
LOST_LAN = "a lost LAN to the end of its route"
DEAD = "a neighbour's last packet to the end of its route"
EIGRPD = """hostname peer
interface wire
 ip hello-interval eigrp 1 2
 ip hold-time eigrp 1 6
!
router eigrp 1
 eigrp router-id {router_id}
 network 192.0.2.0/24
 network {lan}
 network {staying}
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
 network {staying} area 0
!
"""


def measure(folder: Path, runs: int) -> list[Figure]:
    """The median of each kind's runs."""
    figures = []
    for kind in KINDS:
        found = []
        for number in range(runs):
            say(f"adjacency: {kind}, {number + 1} of {runs}")
            found.append(_run(kind, folder))
        for name in (NEW_WIRE, LOST_LAN, DEAD):
            figures.append(_figure(f"{kind}: {name}", [each[name] for each in found]))
    return figures


def _figure(name: str, found: list[float | None]) -> Figure:
    values = [each for each in found if each is not None]
    if len(values) < len(found):
        kept = len(found) - len(values)
        return Figure(
            GROUP, name, None, "s", note=f"kept for more than {KEPT_S:.0f} s, {kept} of {len(found)} times"
        )
    note = f"{min(values)} to {max(values)}" if len(values) > 1 else ""
    return Figure(GROUP, name, statistics.median(values), "s", note=note)


def _run(kind: str, folder: Path) -> dict[str, float | None]:
    """Seconds by name; None: the route was kept."""
    with pair(kind, folder) as (left, right):
        far, staying = (IPv4Address(each.format(2).replace(".0/24", ".1")) for each in (LAN, STAYING))
        began = time.monotonic()
        for router in (left, right):
            router.netns.up("wire")
        seen: dict[str, float | None] = {NEW_WIRE: _within(PATIENCE_S, began, lambda: _known(left, far))}
        assert _within(PATIENCE_S, began, lambda: _known(left, staying)) is not None
        began = time.monotonic()
        right.netns.down("lan1")
        seen[LOST_LAN] = _within(KEPT_S, began, lambda: not _known(left, far))
        began = time.monotonic()
        right.netns.run("nft", "-f", "-", text=SILENCE)
        seen[DEAD] = _within(KEPT_S, began, lambda: not _known(left, staying))
    assert seen[NEW_WIRE] is not None, f"{kind}: no route within {PATIENCE_S:.0f} s"
    return seen


def _known(router: Router, address: IPv4Address) -> bool:
    """Whether a router has a route to the LAN of an address, over the wire."""
    netlink = router.netns.netlink
    found = find(netlink, address)
    return found is not None and found.prefix.prefixlen == 24 and found.index == router.netns.index("wire")


@contextlib.contextmanager
def pair(kind: str, folder: Path) -> Iterator[tuple[Router, Router]]:
    """Two routers of a kind that have started, with a LAN each and a wire between them that is down."""
    with world(folder) as made, contextlib.ExitStack() as stack:
        routers = [made.add(f"{kind}-{n}", f"172.16.{n}.1/24", tunnel(f"10.0.0.{n}/24")) for n in (1, 2)]
        _wire(made, *routers)
        for number, router in enumerate(routers, 1):
            for name, network in (("lan1", LAN), ("lan2", STAYING)):
                lan(router.netns, name, network.format(number).replace(".0/", ".1/"))
            _start(kind, number, router, folder, stack)
        yield routers[0], routers[1]


def _wire(made: World, left: Router, right: Router) -> None:
    left.netns.ip(f"link add wire type veth peer name wire netns {right.netns.path}")
    for number, router in enumerate((left, right), 1):
        router.netns.ip(f"addr add 192.0.2.{number}/24 dev wire")


def _start(kind: str, number: int, router: Router, folder: Path, stack: contextlib.ExitStack) -> None:
    networks = [each.format(number) for each in (LAN, STAYING)]
    if kind == "ours":
        wire = interface("wire", f"192.0.2.{number}/24")
        behind = [interface(f"lan{n}", each.replace(".0/", ".1/"), passive=True)
                  for n, each in enumerate(networks, 1)]  # fmt: skip
        router.config["eigrp"] = {"asn": 1, "router_id": f"10.0.0.{number}", "stub": None,
                                  "interfaces": [wire, *behind]}  # fmt: skip
        router.start()
        return
    text = EIGRPD if kind == "eigrpd" else OSPFD
    text = text.format(router_id=f"10.0.0.{number}", lan=networks[0], staying=networks[1])
    daemon = Frr(router.netns, folder, text, kind, f"bench-{kind}-{number}")
    stack.callback(daemon.close)


def _within(limit_s: float, began: float, true: Callable[[], bool]) -> float | None:
    """Seconds from a moment until something is true; None when that takes too long."""
    while not true():
        if time.monotonic() - began > limit_s:
            return None
        time.sleep(0.02)
    return round(time.monotonic() - began, 2)

"""Time from a new NBMA address of a spoke to the hub's Success for it, ours against nhrpd.

The clock starts when the kernel has taken the old address away, the new one being there, and
stops when the hub's reply to the new address passes the ISP: the hub binds before it answers.
The default route stays, so that neither waits for one.
"""

from __future__ import annotations

import contextlib
import select
import statistics
import time
from ipaddress import IPv4Interface

from dmvpn_lab.linux.packet_socket import ETH_P_IP, open_packet_socket
from dmvpn_lab.nhrp.constants import PacketType
from tests.bench import nodes
from tests.bench.figures import Figure, say
from tests.bench.generator import is_nhrp
from tests.bench.nodes import KINDS, Kind, World

GROUP = "address change"
OURS_AT_MOST_S = 0.3
RATIO_AT_MOST = 0.5
PATIENCE_S = 20.0


def measure(runs: int) -> list[Figure]:
    """Median and worst of some runs of each."""
    figures, medians = [], {}
    for kind in KINDS:
        say(f"address change: {kind}, {runs} runs")
        times = _times(kind, runs)
        medians[kind] = statistics.median(times)
        at_most = OURS_AT_MOST_S if kind == "ours" else None
        figures.append(Figure(GROUP, f"{kind}: to the hub's answer, median", medians[kind], "s", at_most))
        figures.append(Figure(GROUP, f"{kind}: to the hub's answer, worst", max(times), "s", at_most))
    ratio = medians["ours"] / medians["nhrpd"]
    return [*figures, Figure(GROUP, "ours / nhrpd: median", ratio, "ratio", RATIO_AT_MOST)]


def _times(kind: Kind, runs: int) -> list[float]:
    """Seconds of each run."""
    with nodes.running(kind, nodes.HUB, nodes.SPOKE) as world:
        spoke, times = world.nodes["spoke"], []
        with contextlib.closing(Watch(world)) as watch:
            present = nodes.SPOKE.nbma
            for run in range(runs + 1):
                new = IPv4Interface((present.ip + 1, present.network.prefixlen))
                time.sleep(1.0)  # each change meets a spoke at rest
                spoke.add("eth1", str(new))
                spoke.remove("eth1", str(present))
                began, present = time.monotonic(), new
                seconds = watch.until_answered(new) - began
                if run > 0:  # the very first one may wait for the spoke's first registration
                    times.append(seconds)
        return times


class Watch:
    """Sees what the hub sends to the spoke, on the hub's line."""

    def __init__(self, world: World) -> None:
        with world.isp.entered():
            self._socket = open_packet_socket("eth1", ETH_P_IP, 1 << 20)

    def until_answered(self, nbma: IPv4Interface) -> float:
        """When the hub answered a registration from that address. Raises AssertionError."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"no answer to {nbma.ip} in {PATIENCE_S:.0f} s"
            if select.select([self._socket], [], [], left_s)[0]:
                packet = self._socket.recv(2048)
                if is_nhrp(packet, PacketType.REGISTRATION_REPLY) and packet[16:20] == nbma.ip.packed:
                    return time.monotonic()

    def close(self) -> None:
        """Stop."""
        self._socket.close()

"""The packets on every NBMA link, kept in memory until a test fails.

One tcpdump in the ISP router sees all of its lines, or those that were chosen (`-i any`, link type
LINUX_SLL2: the header names the interface). A packet that crosses the ISP is there twice, once on each line.

    global header  24 octets
    record         16 octets (seconds, fraction, captured length, length), then the packet
    LINUX_SLL2     20 octets: protocol 2, reserved 2, interface index 4, hardware type 2, ...
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import Plan

GLOBAL_OCTETS, RECORD_OCTETS, INDEX_AT = 24, 16, 4
LIMIT = 16 << 20
"""Octets that are kept at the most; the oldest packets go first."""
ARGV = ("tcpdump", "--immediate-mode", "-n", "-U", "-i", "any", "-y", "LINUX_SLL2", "-w", "-")


def lines(plan: Plan, chosen: Sequence[str] | None) -> dict[str, str]:
    """The ISP's interface -> whose line it is: of all there are, or of those chosen. Raises UsageError."""
    there = {access.isp_interface: access.router for access in plan.access if access.provider == plan.isp}
    if chosen is None:
        return there
    if unknown := [name for name in chosen if name not in there.values()]:
        raise UsageError(
            f"lab {plan.lab} has no NBMA link of {unknown[0]!r} to capture",
            hint=f"there are: {', '.join(there.values())}",
        )
    return {interface: router for interface, router in there.items() if router in chosen}


class Capture:
    """A capture of NBMA links of one lab."""

    def __init__(self, lab: RunningLab, routers: dict[str, str]) -> None:
        """`routers` are those of `lines`."""
        self._lab = lab
        self._routers = routers
        self._records: collections.deque[bytes] = collections.deque()
        self.octets = 0
        """Of what is kept."""
        self._header = b""
        self._names: dict[int, str] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It captures for the length of a block. Raises LabError when it cannot."""
        isp = self._lab.plan.isp
        assert isp is not None
        for link in json.loads(await self._lab.must(isp, "ip", "-json", "link", "show")):
            if link["ifname"] in self._routers:
                self._names[link["ifindex"]] = self._routers[link["ifname"]]
        only = " or ".join(f"ifindex {index}" for index in self._names)
        async with self._lab.stream(isp, [*ARGV, only]) as tcpdump:
            assert tcpdump.stdout is not None
            assert tcpdump.stderr is not None
            said = [""]
            while "listening on" not in said[-1]:
                if not (line := await tcpdump.stderr.readline()):
                    raise LabError(f"{isp}: tcpdump did not start: {' '.join(said)}")
                said.append(line.decode(errors="replace").strip())
            reader = asyncio.get_running_loop().create_task(self._read(tcpdump.stdout))
            try:
                yield
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    def clear(self) -> None:
        """Forget every packet so far."""
        self._records.clear()
        self.octets = 0

    def write(self, folder: Path) -> list[Path]:
        """One pcap file for each line that had a packet, named after its router."""
        by_router: dict[str, list[bytes]] = {}
        for record in list(self._records):  # in one go: the loop's thread goes on capturing
            (index,) = struct.unpack_from("!I", record, RECORD_OCTETS + INDEX_AT)
            if index in self._names:
                by_router.setdefault(self._names[index], []).append(record)
        written = []
        for router, records in by_router.items():
            path = folder / f"{router}.pcap"
            path.write_bytes(b"".join([self._header, *records]))
            written.append(path)
        return written

    async def _read(self, packets: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            self._header = await packets.readexactly(GLOBAL_OCTETS)
            while True:
                head = await packets.readexactly(RECORD_OCTETS)
                (length,) = struct.unpack_from("=I", head, 8)
                self._keep(head + await packets.readexactly(length))

    def _keep(self, record: bytes) -> None:
        self._records.append(record)
        self.octets += len(record)
        while self.octets > LIMIT:
            self.octets -= len(self._records.popleft())

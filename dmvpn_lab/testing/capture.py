"""The packets on every NBMA link, kept in memory until a test fails.

One tcpdump in the ISP router sees all of its lines (`-i any`, link type LINUX_SLL2: the header
names the interface). A packet that crosses the ISP is there twice, once on each line.

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
from collections.abc import AsyncIterator
from pathlib import Path

from dmvpn_lab.errors import LabError
from dmvpn_lab.running import RunningLab

GLOBAL_OCTETS, RECORD_OCTETS, INDEX_AT = 24, 16, 4
LIMIT = 16 << 20
"""Octets that are kept at the most; the oldest packets go first."""
ARGV = ("tcpdump", "--immediate-mode", "-n", "-U", "-i", "any", "-y", "LINUX_SLL2", "-w", "-")


class Capture:
    """A capture of one lab's NBMA links."""

    def __init__(self, lab: RunningLab) -> None:
        self._lab = lab
        self._records: collections.deque[bytes] = collections.deque()
        self._octets = 0
        self._header = b""
        self._names: dict[int, str] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It captures for the length of a block. Raises LabError when it cannot."""
        isp = self._lab.plan.isp
        assert isp is not None
        lines = [access for access in self._lab.plan.access if access.provider == isp]
        routers = {access.isp_interface: access.router for access in lines}
        for link in json.loads(await self._lab.must(isp, "ip", "-json", "link", "show")):
            if link["ifname"] in routers:
                self._names[link["ifindex"]] = routers[link["ifname"]]
        async with self._lab.stream(isp, ARGV) as tcpdump:
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
        self._octets = 0

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
        self._octets += len(record)
        while self._octets > LIMIT:
            self._octets -= len(self._records.popleft())

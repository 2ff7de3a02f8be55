"""The shell's part of phase 3, as far as it needs no tunnel: when routes are looked at."""

from __future__ import annotations

import asyncio
import logging
import os

import pytest

from dmvpn_lab.daemon import phase_3
from dmvpn_lab.daemon.phase_3 import Phase3
from dmvpn_lab.linux.netlink import Netlink
from dmvpn_lab.linux.route_watch import RouteWatch


class Events(RouteWatch):
    """A pipe for the kernel's events."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        return self._read

    def tell(self) -> None:
        os.write(self._write, b"x")

    def drain(self) -> None:
        os.read(self._read, 1)

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@pytest.mark.parametrize("ended", [False, True])
def test_routes_are_looked_at_when_the_kernel_tells_and_once_more_unless_all_has_ended(
    monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    async def run() -> int:
        loop, looks, looked = asyncio.get_running_loop(), [0], asyncio.Event()

        def look() -> None:
            looks[0] += 1
            looked.set()

        netlink = Netlink()
        phase = Phase3(netlink, (), logging.getLogger("test"))
        events = phase.watch = Events()
        phase.follow(loop, look)
        events.tell()
        await looked.wait()
        assert looks == [1]
        if ended:
            loop.remove_reader(events.fileno())
            phase.close()
        later = asyncio.Event()
        loop.call_later(2 * phase_3.AGAIN_S, later.set)
        await later.wait()
        if not ended:
            phase.close()
        netlink.close()
        return looks[0]

    monkeypatch.setattr(phase_3, "AGAIN_S", 0.02)
    assert asyncio.run(run()) == (1 if ended else 2)

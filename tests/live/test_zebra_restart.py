"""FRR's zebra dies and comes back while a shortcut is in use: it neither takes the shortcut nor hides it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live.test_phase_3 import FAR, shortcuts, until

pytestmark = [pytest.mark.live, pytest.mark.long]
DIRECT = {"192.168.2.0/24": "10.0.0.12"}


@pytest.fixture(scope="module")
def lab(dmvpn_labs: Labs) -> Iterator[LiveLab]:
    with dmvpn_labs.running("phase-3") as made:
        made.verify()
        yield made


async def zebra_restarts(lab: LiveLab) -> None:
    """On spoke A: killed, and started again with the same words a moment later."""
    pid = (await lab.lab.must("spoke-a", "pidof", "zebra")).strip()
    words = (await lab.lab.must("spoke-a", "cat", f"/proc/{pid}/cmdline")).split("\0")[:-1]
    await lab.lab.must("spoke-a", "kill", "-9", pid)
    await asyncio.sleep(2)
    command = " ".join(words)
    await lab.lab.must("spoke-a", "sh", "-c", f"setsid {command} > /dev/null 2>&1 < /dev/null &")


def parent(lab: LiveLab) -> list[str]:
    """Whose route in the main table the shortcut shortens."""
    found = json.loads(lab.must("spoke-a", "ip", "-json", "route", "show", "192.168.2.0/24") or "[]")
    return [route["protocol"] for route in found]


def test_a_shortcut_outlives_zebra_or_comes_again_with_the_route_that_it_shortens(lab: LiveLab) -> None:
    lab.must("host-1", "ping", "-n", "-c", "15", "-i", "0.2", FAR)
    until(lab, "spoke-a", DIRECT)

    async def meanwhile() -> str:
        async with asyncio.TaskGroup() as group:
            argv = ("host-1", "ping", "-n", "-c", "200", "-i", "0.2", "-W", "3", FAR)
            ping = group.create_task(lab.lab.exec(argv[0], *argv[1:]))
            await asyncio.sleep(2)
            await zebra_restarts(lab)
        return ping.result().stdout

    said = lab.run(meanwhile())
    assert ", 0% packet loss" in said, said
    assert lab.wait_for(lambda: parent(lab) == ["bgp"])
    until(lab, "spoke-a", DIRECT)
    assert list(shortcuts(lab, "spoke-a")) == list(DIRECT)
    lab.verify()

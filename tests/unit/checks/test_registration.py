"""Who waits for the registrations of a lab: how long, and what is missing in the end."""

from __future__ import annotations

import asyncio
from typing import Any

from dmvpn_lab.checks import registration
from dmvpn_lab.running import RunningLab, Watch
from tests.unit.agents import knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled

A, B = (
    {"protocol": address, "interface": "tunnel0", "flags": ["registered"]}
    for address in ("10.0.0.11", "10.0.0.12")
)


def waited(topology: str, cache: list[dict[str, Any]], *, deadline_s: float, later: Any = None) -> list[str]:
    """What is missing, of a hub with that cache; `later` comes into it at once, and an event tells."""

    async def wait() -> list[str]:
        recorder = Recorder()
        lab = RunningLab(bundled(topology), recorder)
        watch = Watch(lab)
        async with knowing(recorder, {"hub": {"nhrp": cache}}), asyncio.timeout(20):
            waiting = asyncio.ensure_future(registration.all_there(lab, watch, deadline_s))
            await asyncio.sleep(0)
            cache.extend(later or ())
            watch._changed.set()
            return await waiting

    return asyncio.run(wait())


def test_it_is_over_when_all_have_registered() -> None:
    assert waited("hub-and-spoke", [A, B], deadline_s=1000) == []
    assert waited("hub-and-spoke", [A], deadline_s=1000, later=[B]) == []


def test_it_does_not_wait_for_ever_for_one_that_cannot_register_and_names_it() -> None:
    learnt = {**B, "flags": ["nat"]}
    of_another = {**B, "interface": "tunnel1"}
    missing = waited("hub-and-spoke", [A, learnt, of_another], deadline_s=0.2)
    assert missing == ["hub has no 10.0.0.12 of spoke-b"]


def test_both_families_are_waited_for() -> None:
    missing = waited("ipv6", [A, B], deadline_s=0.0)
    assert missing
    assert all(":" in each for each in missing)

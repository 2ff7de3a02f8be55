"""What `diagnose` says of an adjacency that is not there."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from dmvpn_lab import diagnosis


def told(protocol: str, **counters: dict[str, int]) -> str:
    async def query(node: str, name: str) -> dict[str, Any]:
        assert name == "eigrp-traffic"
        return {"counters": counters[node]}

    pair: Any = SimpleNamespace(lab=SimpleNamespace(query=query), hub=SimpleNamespace(name="hub"),
                                spoke=SimpleNamespace(name="spoke"))  # fmt: skip
    return asyncio.run(diagnosis._why_not_adjacent(pair, protocol))


def test_packets_that_were_not_believed_are_told_with_the_reason() -> None:
    said = told("eigrp", hub={"auth-wrong-digest": 7, "received-hello": 9}, spoke={"auth-replayed": 0})
    assert said == "; hub: 7 packets with a wrong digest: the keys differ"
    said = told("eigrp", hub={"auth-missing": 2}, spoke={"auth-off": 3})
    assert (
        said
        == "; hub: 2 packets without authentication; spoke: 3 packets with authentication, which is off here"
    )


def test_of_other_protocols_the_agent_counts_nothing() -> None:
    assert told("ospf") == ""

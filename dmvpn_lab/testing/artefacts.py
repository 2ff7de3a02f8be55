"""What there is to know of a lab when a test has failed, as files in a folder.

events.jsonl                 every agent's events since the test began
captures/ROUTER.pcap         the packets on each NBMA link since the test began
show/NODE/nhrp.json ...      the agent's tables, addresses, routes, neighbours, adjacencies
logs/NODE.log                what the node's programs printed
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path

from dmvpn_lab import answers, logs
from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import NodePlan
from dmvpn_lab.testing.lab import LiveLab

COMMANDS = {
    "addresses.txt": ("ip", "-details", "address", "show"),
    "routes.txt": ("ip", "route", "show", "table", "all"),
    "neighbours.txt": ("ip", "neighbour", "show"),
}


def save(live: LiveLab, folder: Path) -> list[str]:
    """Write everything; returns in words what could not be had. Raises UsageError for a lab that is down."""
    lines = [json.dumps(event) for event in live.observer.events()]
    captures = folder / "captures"
    captures.mkdir(parents=True, exist_ok=True)
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if live.observer.capture is not None:
        live.observer.capture.write(captures)
    problems: list[str] = live.run(_look(live.lab, folder))
    return problems


async def _look(lab: RunningLab, folder: Path) -> list[str]:
    """Ask every node at once."""
    wanted: list[tuple[Path, Awaitable[str]]] = []
    for node in lab.plan.nodes:
        wanted.append((folder / "logs" / f"{node.name}.log", logs.text(lab, node.name)))
        wanted += [(folder / "show" / node.name / name, text) for name, text in _shows(lab, node)]
    texts = await asyncio.gather(*(text for _, text in wanted), return_exceptions=True)
    problems = []
    for (path, _), text in zip(wanted, texts, strict=True):
        if isinstance(text, str):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif isinstance(text, (DmvpnLabError, OSError)):
            problems.append(f"{path.relative_to(folder)}: {text}")
        else:
            raise text
    return problems


def _shows(lab: RunningLab, node: NodePlan) -> list[tuple[str, Awaitable[str]]]:
    shows: list[tuple[str, Awaitable[str]]] = [
        (name, _output(lab, node.name, argv)) for name, argv in COMMANDS.items()
    ]
    if node.tunnels and node.external is None:
        shows += [(f"{query}.json", _answer(lab, node.name, query)) for query in answers.QUERIES]
        for name in dict.fromkeys(lab.plan.cloud(tunnel.cloud).routing.protocol for tunnel in node.tunnels):
            routing = protocol(name)
            if routing.exchanges_routes:
                shows.append((f"{name}-neighbours.txt", _output(lab, node.name, routing.show_argv())))
    return shows


async def _output(lab: RunningLab, node: str, argv: tuple[str, ...]) -> str:
    done = await lab.exec(node, *argv)
    return done.stdout + done.stderr


async def _answer(lab: RunningLab, node: str, query: str) -> str:
    return json.dumps(await lab.query(node, query), indent=2) + "\n"

"""What there is to know of a lab when a test has failed, as files in a folder.

events.jsonl                 every agent's events since the test began
captures/ROUTER.pcap         the packets on each NBMA link since the test began
show/NODE/nhrp.json ...      the agent's tables, addresses, routes, neighbours, adjacencies
logs/NODE.log                what the node's programs printed
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from dmvpn_lab import answers, logs
from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import NodePlan
from dmvpn_lab.testing.lab import LiveLab

PATIENCE_S = 120.0
"""For all nodes together. pytest may end a whole run whose report of a test takes too long."""
AT_ONCE = 16
"""Questions under way: a lab of fifty routers has five hundred, and perhaps little time for them."""
NOTHING = "null\n"
"""Of a protocol that the router does not speak: no file."""
Question = Callable[[], Awaitable[str]]
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
    """Ask the nodes, as long as there is patience: the logs first."""
    wanted: list[tuple[Path, Question]] = [
        (folder / "logs" / f"{node.name}.log", functools.partial(logs.text, lab, node.name))
        for node in lab.plan.nodes
    ]
    for node in lab.plan.nodes:
        wanted += [(folder / "show" / node.name / name, ask) for name, ask in _shows(lab, node)]
    problems = []
    for (path, _), text in zip(wanted, await _answers([ask for _, ask in wanted]), strict=True):
        if text == NOTHING:
            continue
        if isinstance(text, str):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif isinstance(text, asyncio.CancelledError):
            problems.append(f"{path.relative_to(folder)}: not within {PATIENCE_S:.0f} s")
        elif isinstance(text, (DmvpnLabError, OSError)):
            problems.append(f"{path.relative_to(folder)}: {text}")
        else:
            raise text
    return problems


async def _answers(questions: Sequence[Question]) -> list[str | BaseException]:
    """What each gives, or why it does not; CancelledError for what was not there in time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(ask: Question) -> str:
        async with gate:
            return await ask()

    tasks = [asyncio.ensure_future(one(ask)) for ask in questions]
    try:
        await asyncio.wait(tasks, timeout=PATIENCE_S)
    finally:
        for task in tasks:
            task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


def _shows(lab: RunningLab, node: NodePlan) -> list[tuple[str, Question]]:
    shows: list[tuple[str, Question]] = [
        (name, functools.partial(_output, lab, node.name, argv)) for name, argv in COMMANDS.items()
    ]
    if node.tunnels and node.external is None:
        shows += [(f"{query}.json", functools.partial(_answer, lab, node.name, query))
                  for query in answers.QUERIES]  # fmt: skip
        for name in dict.fromkeys(lab.plan.cloud(tunnel.cloud).routing.protocol for tunnel in node.tunnels):
            routing = protocol(name)
            argv = routing.show_argv()
            if routing.exchanges_routes and argv:  # what the agent speaks is among its tables
                shows.append((f"{name}-neighbours.txt", functools.partial(_output, lab, node.name, argv)))
    return shows


async def _output(lab: RunningLab, node: str, argv: tuple[str, ...]) -> str:
    done = await lab.exec(node, *argv)
    return done.stdout + done.stderr


async def _answer(lab: RunningLab, node: str, query: str) -> str:
    return json.dumps(await lab.query(node, query), indent=2) + "\n"

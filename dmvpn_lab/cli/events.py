"""`events`: what the agents have told, and tell."""

from __future__ import annotations

import asyncio
import json as jsonlib
from typing import Annotated

import typer

from dmvpn_lab import controller
from dmvpn_lab.cli.options import Json, LabName
from dmvpn_lab.errors import first_error
from dmvpn_lab.running import Event, RunningLab
from dmvpn_lab.watch import words as told


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    lab: LabName = None,
    json: Json = False,
) -> None:
    """The events of all agents: registrations, address changes, multicast sets."""
    asyncio.run(_events(controller.find(lab), follow, json))


async def _events(lab: RunningLab, follow: bool, json: bool) -> None:
    """What the agents remember, in the order of time; with `follow` what comes after that, too."""
    nodes = [router.name for router in lab.plan.agents()]
    remembered = await asyncio.gather(*(lab.past(node) for node in nodes))
    for event in sorted((event for past in remembered for event in past), key=lambda e: e["at"]):
        _print_event(event, json)
    if not follow:
        return

    async def go_on(node: str, newest: float) -> None:
        async for event in lab.events(node, replay=True):  # else what came in between would be missed
            if event["at"] > newest:
                _print_event(event, json)

    try:
        async with asyncio.TaskGroup() as group:
            for node, past in zip(nodes, remembered, strict=True):
                group.create_task(go_on(node, max((event["at"] for event in past), default=0.0)))
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


def _print_event(event: Event, json: bool) -> None:
    if json:
        print(jsonlib.dumps(event), flush=True)
        return
    head = f"{told.clock(event['at'])}  {event['node']:<10} {event['event']:<21}"
    print(f"{head} {told.facts(event)}", flush=True)

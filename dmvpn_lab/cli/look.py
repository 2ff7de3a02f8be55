"""`show`, `exec`, `shell`, `events`: look into a running lab."""

from __future__ import annotations

import asyncio
import json as jsonlib
import subprocess
from typing import Annotated, Any

import typer

from dmvpn_lab import controller
from dmvpn_lab.cli import dmvpn, eigrp, nhrp, output
from dmvpn_lab.cli.options import Json, LabName, NodeName
from dmvpn_lab.cli.tables import TABLES
from dmvpn_lab.errors import UsageError, first_error
from dmvpn_lab.running import Event, RunningLab
from dmvpn_lab.watch import words as told

SHOWS = ("dmvpn", "nhrp", "nhs", "multicast", "ipsec", "routes", "counters", "status", "odr", "eigrp")
PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "dmvpn": (("detail",),),
    "nhrp": tuple(nhrp.QUERIES),
    "eigrp": tuple((each,) for each in eigrp.QUERIES),
}
"""What may follow."""


def show(
    node: NodeName,
    what: Annotated[str, typer.Argument(help=f"One of {', '.join(SHOWS)}.", metavar="WHAT")],
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Of eigrp: {', '.join(eigrp.QUERIES)}. Of dmvpn: detail. "
            f"Of nhrp: {', '.join(' '.join(words) for words in nhrp.QUERIES)}.",
            metavar="[PART]...",
        ),
    ] = None,
    lab: LabName = None,
    json: Json = False,
) -> None:
    """Show a router's tunnels, NHRP cache, servers, multicast peers, SAs, routes, counters, ODR or EIGRP."""
    words = tuple(parts or ())
    if what not in SHOWS:
        raise UsageError(f"cannot show {what!r}", hint=f"one of {', '.join(SHOWS)}")
    if words and words not in PARTS.get(what, ()):
        raise _no_part(what, words)
    running = controller.find(lab)
    if what == "eigrp":
        _show_eigrp(running, node, words[0] if words else "neighbors", json)
        return
    facts = asyncio.run(_facts(running, node, what, words))
    if facts is None:
        raise UsageError(f"{node} runs no {what.upper()}", hint="its clouds have another routing protocol")
    if json:
        output.print_json(facts)
    elif what == "dmvpn":
        print(dmvpn.text(facts, detail=bool(words)))
    elif words:
        print(nhrp.text(words, facts))
    elif what == "ipsec" and not facts:
        print(f"{node} has no SA; what is wrong: dmvpn-lab diagnose")
    else:
        output.print_table(*TABLES[what](facts))


def _no_part(what: str, words: tuple[str, ...]) -> UsageError:
    known = [" ".join(each) for each in PARTS.get(what, ())]
    if not known:
        return UsageError(f"{what} has no parts, {' '.join(words)!r} least of all")
    return UsageError(f"{what} has no {' '.join(words)!r}", hint=f"one of {', '.join(known)}")


def _show_eigrp(lab: RunningLab, node: str, part: str, json: bool) -> None:
    lab.router(node)
    facts = asyncio.run(lab.query(node, eigrp.QUERIES[part]))
    if facts is None:
        raise UsageError(f"{node} runs no EIGRP", hint="its clouds have another routing protocol")
    if json:
        output.print_json(facts)
    else:
        print(eigrp.text(part, facts))


async def _facts(lab: RunningLab, node: str, what: str, words: tuple[str, ...]) -> Any:
    if what == "routes":
        lab.node(node)
        return jsonlib.loads(await lab.must(node, "ip", "-json", "route", "show"))
    router = lab.router(node)
    if what == "ipsec" and all(lab.plan.cloud(tunnel.cloud).ipsec is None for tunnel in router.tunnels):
        raise UsageError(f"{node}'s tunnels have no IPsec", hint="give their cloud an `ipsec:`")
    if what == "dmvpn":
        return dmvpn.dmvpn(*[await lab.query(node, each) for each in dmvpn.QUERIES])
    return await lab.query(node, nhrp.QUERIES[words] if words else what)


def exec_(
    node: NodeName,
    command: Annotated[list[str], typer.Argument(help="The command, after --.", metavar="-- COMMAND")],
    lab: LabName = None,
) -> None:
    """Run a command in a node; its exit code is the command's."""
    raise typer.Exit(_inside(lab, node, command))


def shell(node: NodeName, lab: LabName = None) -> None:
    """A shell in a node."""
    raise typer.Exit(_inside(lab, node, ["bash", "--login"]))


def _inside(name: str | None, node: str, command: list[str]) -> int:
    lab = controller.find(name)
    lab.node(node)
    done = subprocess.run(lab.backend.enter_argv(lab.plan.lab, node, command), check=False)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


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

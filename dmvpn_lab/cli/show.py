"""`show`: what a router's agent tells, as a table, as IOS prints it, or as JSON."""

from __future__ import annotations

import asyncio
import json as jsonlib
from typing import Annotated, Any

import typer

from dmvpn_lab import controller
from dmvpn_lab.cli import dmvpn, eigrp, nhrp, output
from dmvpn_lab.cli.options import Json, LabName, NodeName
from dmvpn_lab.cli.tables import TABLES
from dmvpn_lab.errors import UsageError
from dmvpn_lab.running import RunningLab

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

"""`inject link-down`, `link-up`, `impair`, `nat-rebind`: what happens to lines and stays until undone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Annotated

import typer

from dmvpn_lab import controller, convergence
from dmvpn_lab.backends.state import locked
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.checks.outside import outside
from dmvpn_lab.checks.registration import registered
from dmvpn_lab.cli import output
from dmvpn_lab.cli.options import Json, LabName, NodeName
from dmvpn_lab.errors import EXIT_CHECK_FAILED, UsageError
from dmvpn_lab.faults import impair as impairing
from dmvpn_lab.faults import link_down as cutting
from dmvpn_lab.faults import nat_rebind as rebinding
from dmvpn_lab.faults.base import Injected
from dmvpn_lab.running import RunningLab, Watch, watching

NAMES = (cutting.NAME, impairing.NAME, rebinding.NAME)
Lan = Annotated[bool, typer.Option("--lan", help="The cable of its LAN instead of its line.")]


def link_down(node: NodeName, lan: Lan = False, lab: LabName = None, json: Json = False) -> None:
    """Cut a router's line to the ISP, or its LAN, until `link-up` or `undo`."""
    running = controller.find(lab)
    _print(_locked(running, cutting.inject(running, node, lan=lan)), json)


def impair(
    node: NodeName,
    delay: Annotated[float, typer.Option(min=0, max=10_000, help="Milliseconds, each way.")] = 0.0,
    jitter: Annotated[float, typer.Option(min=0, max=10_000, help="Milliseconds, plus or minus.")] = 0.0,
    loss: Annotated[float, typer.Option(min=0, max=100, help="Percent of the packets, each way.")] = 0.0,
    rate: Annotated[int, typer.Option(min=0, max=10_000_000, help="kbit/s, each way.")] = 0,
    lab: LabName = None,
    json: Json = False,
) -> None:
    """Make a router's line slow, lossy or narrow (netem), until `undo`."""
    running = controller.find(lab)
    wish = impairing.Impairment(delay, jitter, loss, rate)
    _print(_locked(running, impairing.inject(running, node, wish)), json)


def nat_rebind(node: NodeName, lab: LabName = None, json: Json = False) -> None:
    """Give a NAT router another address outside; print when its spokes are registered there."""
    running = controller.find(lab)

    async def work() -> int:
        with locked(running.plan.lab):
            async with watching(running) as watch:
                began = time.time()
                injected = await rebinding.inject(running, node)
                output.Progress(json)("injected", injected.what)
                return await _rebound(running, watch, node, began, json)

    raise typer.Exit(asyncio.run(work()))


async def _rebound(lab: RunningLab, watch: Watch, nat: str, began: float, json: bool) -> int:
    rows: list[tuple[str, str, float]] = []
    results: list[CheckResult] = []
    for spoke in rebinding.behind(lab, nat):
        for tunnel in spoke.tunnels:
            seen = await outside(lab, spoke.name, tunnel.name)
            for hub, at_hub in lab.plan.members(tunnel.cloud, "hub"):
                at = await convergence.registered_at(lab, watch, hub.name, spoke.name, tunnel, str(seen))
                rows.append((spoke.name, hub.name, round(at - began, 3)))
                pair = (hub, at_hub), (spoke, tunnel)
                results += [await registered(lab, watch, *pair, each) for each in tunnel.registered()]
    passed = all(result.passed for result in results)
    if json:
        steps = [{"spoke": s, "hub": h, "registered_after_s": t} for s, h, t in rows]
        output.print_json({"passed": passed, "steps": steps, "checks": [asdict(r) for r in results]})
    else:
        table = [(spoke, hub, f"{after_s:.3f} s") for spoke, hub, after_s in rows]
        output.print_table(("spoke", "hub", "registered"), table, title=f"nat-rebind {nat}")
        output.print_results(lab.plan, results)
    return 0 if passed else EXIT_CHECK_FAILED


def cut_of(lab: RunningLab, node: str, lan: bool) -> Injected:
    """The cut that `link-up` undoes. Raises UsageError."""
    lab.router(node)
    found = cutting.of(lab, node, lan=lan)
    if found is None:
        raise UsageError(f"{node} was not cut off", hint="'dmvpn-lab inject list' shows what is in force")
    return found


def _locked(lab: RunningLab, work: Coroutine[None, None, Injected]) -> Injected:
    with locked(lab.plan.lab):
        return asyncio.run(work)


def _print(injected: Injected, json: bool) -> None:
    if json:
        output.print_json(asdict(injected))
        return
    output.console().print(f"{injected.what}; undo with: dmvpn-lab inject undo {injected.number}")

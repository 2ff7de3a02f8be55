"""`inject`: change the world of a running lab, and measure how it gets over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import AddressValueError, IPv4Interface, NetmaskValueError
from typing import Annotated

import typer

from dmvpn_lab import controller, convergence, faults, outage
from dmvpn_lab.backends.state import locked
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.cli import inject_line, output
from dmvpn_lab.cli.options import Json, LabName, NodeName
from dmvpn_lab.convergence import Step
from dmvpn_lab.errors import EXIT_CHECK_FAILED, UsageError
from dmvpn_lab.faults import address_change, base
from dmvpn_lab.faults.base import Line
from dmvpn_lab.faults.moment import Moment, chosen, moments
from dmvpn_lab.running import RunningLab, Watch, watching

NOTHING = "no fault is in force"

app = typer.Typer(help="Change the world of a running lab.", no_args_is_help=True)


@app.command("address-change")
def change(
    node: NodeName,
    address: Annotated[str | None, typer.Argument(help="ADDRESS/LENGTH; the next free one.")] = None,
    subnet: Annotated[bool, typer.Option("--subnet", help="An address in a different subnet.")] = False,
    gap: Annotated[str, typer.Option(help="Time without any address, such as 5s.")] = "0s",
    swap: Annotated[
        str | None, typer.Option(help="Exchange addresses with this spoke: each gets the other's old one.")
    ] = None,
    lab: LabName = None,
    json: Json = False,
) -> None:
    """Give a spoke a new NBMA address, as a DSL or dial line does; print how long it takes to recover."""
    if sum((address is not None, subnet, swap is not None)) > 1:
        raise UsageError("an address, --subnet and --swap exclude each other", hint="name one of them")
    wish = address_change.Wish(node, _interface(address), subnet, _seconds(gap), swap)
    raise typer.Exit(asyncio.run(_change(controller.find(lab), wish, json)))


async def _change(lab: RunningLab, wish: address_change.Wish, json: bool) -> int:
    with locked(lab.plan.lab):
        async with watching(lab) as watch:
            injected, after = await address_change.inject(lab, wish)
            output.Progress(json)("injected", injected.what)
            return await _follow(lab, watch, after, json)


def _command(fault: Moment) -> Callable[..., None]:
    """The command of a fault of a moment."""

    def command(
        node: NodeName,
        how: Annotated[
            str | None, typer.Option(help="One of the ways above; the first.", metavar="WAY")
        ] = None,
        lab: LabName = None,
        json: Json = False,
    ) -> None:
        running = controller.find(lab)
        raise typer.Exit(asyncio.run(_moment(running, fault, node, chosen(fault, how), json)))

    return command


def _help(fault: Moment) -> str:
    ways = "\n\n".join(f"  {way.name}: {way.meaning}" for way in fault.ways)
    return f"{fault.summary}\n\nWays:\n\n{ways}"


app.command("link-down")(inject_line.link_down)
app.command("impair")(inject_line.impair)
app.command("nat-rebind")(inject_line.nat_rebind)


@app.command("link-up")
def link_up(node: NodeName, lan: inject_line.Lan = False, lab: LabName = None, json: Json = False) -> None:
    """Undo `link-down`, and wait until the router is back."""
    running = controller.find(lab)
    cut = inject_line.cut_of(running, node, lan)
    raise typer.Exit(asyncio.run(_undo(running, cut.number, False, json)))


for _fault in moments():
    app.command(_fault.name, help=_help(_fault), short_help=_fault.summary)(_command(_fault))


async def _moment(lab: RunningLab, fault: Moment, node: str, way: str, json: bool) -> int:
    with locked(lab.plan.lab):
        async with watching(lab) as watch:
            outages = await outage.measure(lab, watch, fault, node, way, output.Progress(json))
            results = await outage.sound(lab, watch, node)
    passed = all(result.passed for result in results)
    if json:
        output.print_json({
            "passed": passed,
            "outages": [asdict(each) for each in outages],
            "checks": [asdict(result) for result in results],
        })  # fmt: skip
    else:
        rows = [
            (o.spoke, o.hub, f"{o.secured_after_s:.3f} s", f"{o.outage_s:.3f} s", o.lost) for o in outages
        ]
        columns = ("spoke", "hub", fault.recovered_by or "over", "without replies", "pings lost")
        output.print_table(columns, rows, title=f"{fault.name} {way} on {node}")
        output.print_results(lab.plan, results)
    return 0 if passed else EXIT_CHECK_FAILED


@app.command("list")
def list_faults(lab: LabName = None, json: Json = False) -> None:
    """List the faults that are in force, and the kinds that there are."""
    found = base.in_force(controller.find(lab))
    if json:
        output.print_json({"kinds": _kinds(), "in_force": [asdict(each) for each in found]})
        return
    if found:
        rows = [(each.number, each.fault, each.node, each.what) for each in found]
        output.print_table(("#", "fault", "node", "what"), rows, title="in force")
    else:
        output.console().print(NOTHING)
    output.console().print(f"kinds: {', '.join(_kinds())}")


def _kinds() -> list[str]:
    return sorted([address_change.NAME, *inject_line.NAMES, *(fault.name for fault in moments())])


@app.command("undo")
def undo(
    number: Annotated[int | None, typer.Argument(help="Which one; the newest.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All, the newest first; none is no error.")] = False,
    lab: LabName = None,
    json: Json = False,
) -> None:
    """Undo a fault and wait until the lab is over it."""
    raise typer.Exit(asyncio.run(_undo(controller.find(lab), number, every, json)))


async def _undo(lab: RunningLab, number: int | None, every: bool, json: bool) -> int:
    with locked(lab.plan.lab):
        found = base.in_force(lab)
        chosen = [f for f in found if number in (None, f.number)]
        if not chosen and every and number is None:
            if json:
                output.print_json({"passed": True, "steps": [], "checks": []})
            else:
                output.console().print(NOTHING)
        elif not chosen:
            raise UsageError("there is no such fault in force", hint="'dmvpn-lab inject list' shows them")
        code = 0
        for fault in reversed(chosen if every else chosen[-1:]):
            async with watching(lab) as watch:
                after = await faults.undo(lab, fault)
                output.Progress(json)("undone", fault.what)
                code = max(code, await _follow(lab, watch, after, json, fault.node))
    return code


async def _follow(
    lab: RunningLab, watch: Watch, after: tuple[Line, ...], json: bool, node: str | None = None
) -> int:
    """Wait for the recovery of each line; print the times and whether the old is gone.

    With no line to follow, wait until `node` and what is behind it are registered.
    """
    progress = output.Progress(json)
    steps: list[Step] = []
    results: list[CheckResult] = []
    for line in after:
        async for step in convergence.recovery(lab, watch, line):
            progress(step.step, f"{step.node} {step.tunnel}, {step.after_s:.3f} s after the change")
            steps.append(step)
    for line in after:
        results += await convergence.moved(lab, line)
    if not after and node is not None:
        results += await outage.all_registered(lab, watch, node)
    passed = all(result.passed for result in results)
    if json:
        document = {
            "passed": passed,
            "steps": [asdict(s) for s in steps],
            "checks": [asdict(r) for r in results],
        }
        output.print_json(document)
    else:
        rows = [(s.node, s.tunnel, s.step, f"{s.after_s:.3f} s") for s in steps]
        if after:
            output.print_table(("node", "tunnel", "step", "after the change"), rows)
        output.print_results(lab.plan, results)
    return 0 if passed else EXIT_CHECK_FAILED


def _interface(text: str | None) -> IPv4Interface | None:
    if text is None:
        return None
    try:
        if "/" not in text:
            raise AddressValueError
        return IPv4Interface(text)
    except (AddressValueError, NetmaskValueError):
        raise UsageError(
            f"{text!r} is no address", hint="write ADDRESS/LENGTH, such as 172.16.1.77/24"
        ) from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise UsageError(f"{text!r} is no time", hint="write seconds, such as 5s; at most 3600s")
    return seconds

"""`up`, `down`, `inspect`, `verify`: the life of a lab."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from dmvpn_lab import controller
from dmvpn_lab.backends import NAMES
from dmvpn_lab.backends.state import running_labs
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.cli import diagnose, output
from dmvpn_lab.cli.options import Json, LabName, complete_backend, complete_topology
from dmvpn_lab.errors import EXIT_CHECK_FAILED, HostError, UsageError
from dmvpn_lab.running import RunningLab

Junit = Annotated[Path | None, typer.Option("--junit", help="Write the results as JUnit XML.")]


def up(
    topology: Annotated[
        str,
        typer.Argument(help="A topology file, or a bundled one's name.", autocompletion=complete_topology),
    ] = "hub-and-spoke",
    backend: Annotated[
        str,
        typer.Option(help=f"How nodes are run: {', '.join(NAMES)}.", autocompletion=complete_backend),
    ] = "netns",
    verify: Annotated[bool, typer.Option(help="Verify the lab once it runs.")] = True,
    node_filter: Annotated[
        str,
        typer.Option(
            help="Only these routers, with their hosts and the ISP router: hub,spoke-a.",
            metavar="NODES",
            show_default=False,
        ),
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it could be started; start nothing.")
    ] = False,
    json: Json = False,
    junit: Junit = None,
) -> None:
    """Start the lab of a topology, or bring a running one up to it; then verify it."""
    _check_folder(junit)
    only = [name.strip() for name in node_filter.split(",") if name.strip()]
    if check:
        progress = output.Progress()
        plan = controller.wanted_plan(topology, backend, progress, only)
        progress("check", f"{plan.lab}: {len(plan.nodes)} nodes, {len(plan.links)} links, on {backend}")
        return
    code = asyncio.run(_up(topology, backend, only, verify, json, junit))
    raise typer.Exit(code)


async def _up(
    topology: str, backend: str, only: list[str], verify: bool, json: bool, junit: Path | None
) -> int:
    progress = output.Progress()
    done = await controller.up(topology, backend, progress, only)
    lab = done.lab.plan.lab
    progress("up", f"{lab} runs" if done.started else f"{lab} ran already")
    return await _verify(done.lab, json, junit, progress) if verify else 0


def down(
    lab: Annotated[str | None, typer.Argument(help="The lab; the only one that runs.")] = None,
    named: LabName = None,
    every: Annotated[bool, typer.Option("--all", help="Every lab, whatever state it is in.")] = False,
) -> None:
    """Stop a lab and remove everything of it.

    Whatever state it is in, also half removed. That there is no lab of the name is told, and no error.
    """
    if lab is not None and named not in (None, lab):
        raise UsageError(f"{lab} and --lab {named} are two labs", hint="name one, or --all")
    labs = running_labs() if every else [lab or named or _only()]
    for name in labs:
        found = asyncio.run(controller.down(name))
        output.console().print(f"{name}: {'removed' if found else _not_there()}")
    if not labs:
        output.console().print("no lab is running")


def _not_there() -> str:
    """A script may take down what is down already; whoever mistyped reads it."""
    return f"there is no such lab; running: {', '.join(running_labs()) or 'none'}"


def _only() -> str:
    labs = running_labs()
    return labs[0] if len(labs) == 1 else controller.find(None).plan.lab


def inspect(json: Json = False) -> None:
    """List running labs and their nodes."""
    document = [asyncio.run(_inspect(name)) for name in running_labs()]
    if json:
        output.print_json(document)
        return
    for lab in document:
        rows = [
            (n["name"], n["kind"], "running" if n["running"] else "dead", n["pid"], ", ".join(n["addresses"]))
            for n in lab["nodes"]
        ]
        output.print_table(
            ("node", "kind", "state", "pid", "addresses"), rows, title=f"{lab['lab']}  ({lab['state']})"
        )
    if not document:
        output.console().print("no lab is running")


async def _inspect(name: str) -> dict[str, Any]:
    try:
        lab = controller.find(name)
    except HostError:
        raise
    except Exception as error:  # noqa: BLE001 - a lab that was cut off is listed as such
        return {"lab": name, "state": str(error), "topology": None, "nodes": []}
    states = {state.name: state for state in await lab.backend.nodes(name)}
    nodes = []
    for node in lab.plan.nodes:
        addresses = [f"{i.name} {'dhcp' if i.dhcp else i.address}" for i in node.interfaces]
        addresses += [f"{tunnel.name} {tunnel.address}" for tunnel in node.tunnels]
        state = states.get(node.name)
        nodes.append(
            {
                "name": node.name,
                "kind": node.kind,
                "running": state is not None and state.running,
                "pid": state.pid if state else None,
                "addresses": addresses,
            }
        )
    whole = all(node["running"] for node in nodes)
    return {
        "lab": name,
        "state": "running" if whole else "damaged",
        "topology": lab.plan.source,
        "nodes": nodes,
    }


def verify(lab: LabName = None, json: Json = False, junit: Junit = None) -> None:
    """Prove that a running lab works: registration, multicast, adjacency, reachability."""
    _check_folder(junit)
    raise typer.Exit(asyncio.run(_verify(controller.find(lab), json, junit, output.Progress())))


def _check_folder(junit: Path | None) -> None:
    """Say it before the lab is started, not after. Raises UsageError."""
    if junit is not None and not junit.absolute().parent.is_dir():
        raise UsageError(
            f"there is no folder {junit.absolute().parent}", hint="make it, or name another file"
        )


async def _verify(lab: RunningLab, json: bool, junit: Path | None, progress: output.Progress) -> int:
    results: list[CheckResult] = []
    async for result in controller.verify(lab):
        word = "passed" if result.passed else "FAILED"
        progress(result.name, f"{result.node}: {word}, {result.observed}")
        results.append(result)
    if json:
        output.print_json(output.results_document(lab.plan, results))
    else:
        output.print_results(lab.plan, results)
        if not all(result.passed for result in results):
            diagnose.show([each for each in await diagnose.find(lab) if each.broken])
    if junit is not None:
        output.write_junit(junit, lab.plan.lab, results)
    return 0 if all(result.passed for result in results) else EXIT_CHECK_FAILED

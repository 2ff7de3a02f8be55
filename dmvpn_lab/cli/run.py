"""`run`: a scenario, from a file or drawn from a seed, on a running lab."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dmvpn_lab import controller
from dmvpn_lab.backends import NAMES
from dmvpn_lab.backends.state import locked
from dmvpn_lab.cli import output
from dmvpn_lab.cli.options import Json
from dmvpn_lab.errors import EXIT_CHECK_FAILED, UsageError
from dmvpn_lab.files import write_whole
from dmvpn_lab.running import watching
from dmvpn_lab.scenario import drawn, load, picture, runner
from dmvpn_lab.scenario.load import Loaded
from dmvpn_lab.scenario.timeline import StepResult, Timeline, verdict_words
from dmvpn_lab.spec import plan as planner

SIGNS = {
    "passed": Text("pass", "green"), "failed": Text("FAIL", "red"),
    "already": Text("SO BEFORE", "red"), "not run": Text("-", "dim"),
}  # fmt: skip
MOST_FAULTS = 1000


@dataclass(frozen=True, slots=True)
class Files:
    """Where results go besides the terminal."""

    junit: Path | None
    svg: Path | None
    written: Path | None

    def check(self) -> None:
        """Say it before the lab is started, not after. Raises UsageError."""
        for path in (self.junit, self.svg, self.written):
            if path is not None and not path.absolute().parent.is_dir():
                raise UsageError(
                    f"there is no folder {path.absolute().parent}", hint="make it, or name another file"
                )


def run(
    what: Annotated[
        str | None,
        typer.Argument(help="A scenario file, or a bundled one's name; with --random a topology."),
    ] = None,
    random: Annotated[
        int | None, typer.Option("--random", metavar="SEED", help="Draw faults; the seed repeats them.")
    ] = None,
    faults: Annotated[int, typer.Option(help="How many to draw.", min=1, max=MOST_FAULTS)] = 5,
    write: Annotated[Path | None, typer.Option("--write", help="Write what was drawn as a scenario.")] = None,
    backend: Annotated[str, typer.Option(help=f"How nodes are run: {', '.join(NAMES)}.")] = "netns",
    down: Annotated[bool, typer.Option("--down", help="Remove the lab afterwards.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the bundled scenarios.")] = False,
    json: Json = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the steps as JUnit XML.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw who said what to whom, as SVG.")] = None,
) -> None:
    """Run a scenario: change a lab step by step, prove what follows, and print how long each step took.

    The lab of its topology is started, or taken as it runs. Faults are undone at the end.
    """
    if listed:
        _list()
        return
    files = Files(junit, svg, write)
    files.check()
    if write is not None and random is None:
        raise UsageError("--write is for what --random draws")
    loaded = _file(what) if random is None else _drawn(what, random, faults)
    if write is not None:
        write_whole(write, drawn.dump(loaded.scenario))
    raise typer.Exit(asyncio.run(_run(loaded, random, backend, down, json, files)))


def _file(name: str | None) -> Loaded:
    if name is None:
        raise UsageError("which scenario?", hint="name a file or one of 'dmvpn-lab run --list'")
    return load.read(load.find(name))


def _drawn(name: str | None, seed: int, faults: int) -> Loaded:
    """From a seed, on a topology."""
    topology = controller.find_topology(name or "hub-and-spoke")
    plan = planner.read(topology)
    written = str(topology.resolve()) if Path(name or "").is_file() else (name or "hub-and-spoke")
    return Loaded(drawn.draw(plan, written, seed, faults), topology, plan)


async def _run(loaded: Loaded, seed: int | None, backend: str, down: bool, json: bool, files: Files) -> int:
    progress = output.Progress()
    if seed is not None:
        progress("drawn", f"seed {seed}; --random {seed} repeats it")
    lab = (await controller.up(str(loaded.topology), backend, progress)).lab

    def tell(step: StepResult) -> None:
        if step.verdict != "not run":
            sign = "" if step.verdict == "passed" else "FAILED, "
            progress(step.kind, f"{step.what}: {sign}{step.observed}")

    try:
        with locked(lab.plan.lab):
            async with watching(lab) as watch:
                timeline = await runner.run(lab, watch, loaded.scenario, tell, progress)
    finally:
        if down:
            await controller.down(lab.plan.lab)
            progress("down", lab.plan.lab)
    timeline.seed = seed
    if files.svg is not None:
        write_whole(files.svg, picture.svg(loaded.plan, timeline))
    if files.junit is not None:
        output.write_timeline_junit(files.junit, timeline)
    if json:
        output.print_json(timeline.document())
    else:
        _print(timeline)
    return 0 if timeline.passed else EXIT_CHECK_FAILED


def _print(timeline: Timeline) -> None:
    rows = [
        (SIGNS[s.verdict], s.number, _time(s.at_s), s.kind, s.what, s.observed, _time(s.after_s),
         _time(s.deadline_s))
        for s in timeline.steps
    ]  # fmt: skip
    columns = ("", "#", "at", "step", "what", "observed", "took", "of")
    output.print_table(columns, rows, title=f"{timeline.scenario}: {timeline.title}")
    failure = timeline.failure()
    if failure is not None:
        output.console().print(Text(f"{timeline.scenario}: {verdict_words(failure)}", "red"))
    else:
        count = len(timeline.steps)
        output.console().print(Text(f"{timeline.scenario}: passed, {count} steps", "green"))


def _time(length_s: float | None) -> str:
    return "" if length_s is None else f"{length_s:.3f} s"


def _list() -> None:
    rows = []
    for path in sorted(load.bundled_scenarios().glob("*.yml")):
        scenario = load.read(path).scenario
        rows.append((path.stem, scenario.topology, len(scenario.steps), scenario.title))
    output.print_table(("scenario", "topology", "steps", "what it shows"), rows)

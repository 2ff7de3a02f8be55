"""`workshop`: labs to learn in, with tasks, hints and a check."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace

import typer
from rich.text import Text

from dmvpn_lab.cli import observe, output
from dmvpn_lab.cli.observe import Name
from dmvpn_lab.cli.options import Json
from dmvpn_lab.errors import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError
from dmvpn_lab.workshop import load, progress, shelf
from dmvpn_lab.workshop.load import Loaded
from dmvpn_lab.workshop.model import command

app = typer.Typer(help="Workshops: labs to learn in, with tasks, hints and a check.", no_args_is_help=True)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the workshops and how far you are."""
    kept = progress.read()
    rows = []
    for name in shelf.names():
        entry, workshop = kept.get(name, progress.Entry()), load.read(shelf.find(name)).workshop
        rows.append({"workshop": name, "title": workshop.title, "minutes": workshop.minutes,
                     "slide": workshop.slide, "repair": workshop.broken, **asdict(entry)})  # fmt: skip
    if json:
        output.print_json(rows)
        return
    columns = ("workshop", "title", "minutes", "state", "hints read")
    output.print_table(
        columns, [(r["workshop"], r["title"], r["minutes"], _state(r), r["hints"]) for r in rows]
    )


def _state(row: dict[str, object]) -> str:
    return f"{row['state']}{' (solution run)' if row['solved'] else ''}"


@app.command()
def start(name: Name) -> None:
    """Start the lab of a workshop and print its text. One that runs is left as it is."""
    loaded = load.read(shelf.find(name))
    _print_text(loaded)
    path = progress.topology(loaded.name)
    if _runs(loaded) and path.is_file():
        output.console().print(f"{loaded.plan.lab} runs already; 'dmvpn-lab workshop reset' begins again")
        return
    _begin(loaded)


@app.command()
def reset(name: Name) -> None:
    """Begin a workshop again: its topology and its lab as they were."""
    loaded = load.read(shelf.find(name))
    if _runs(loaded):
        _do(["down", loaded.plan.lab])
    _begin(loaded)


@app.command()
def check(name: Name, json: Json = False) -> None:
    """Tell which tasks are done. Exit code: 0 all of them, 1 not yet."""
    loaded = load.read(shelf.find(name))
    _do(["workshop", "observe", loaded.name, *(["--json"] if json else [])])
    progress.write(loaded.name, replace(_entry(loaded), state="passed"))
    if not json:
        output.console().print(Text(f"{loaded.name}: passed", "green"))


@app.command()
def hint(name: Name) -> None:
    """Print the next hint."""
    loaded = load.read(shelf.find(name))
    entry, hints = _entry(loaded), loaded.workshop.hints
    number = min(entry.hints + 1, len(hints))
    output.console().print(f"hint {number} of {len(hints)}: {hints[number - 1]}", markup=False)
    progress.write(loaded.name, replace(entry, hints=number))


@app.command()
def solve(name: Name) -> None:
    """Run the solution, and print its commands."""
    loaded = load.read(shelf.find(name))
    if not _runs(loaded):
        raise UsageError(
            f"lab {loaded.plan.lab} is not running", hint=f"dmvpn-lab workshop start {loaded.name}"
        )
    path = progress.topology(loaded.name)
    solved = loaded.solved()
    if solved != loaded.topology:
        progress.write_whole(path, solved)
        output.console().print(f"edited: {path}", markup=False)
        for edit in loaded.workshop.solution:
            if not isinstance(edit, str):
                output.console().print(f"  - {edit.replace.strip()}\n  + {edit.by.strip()}", markup=False)
    for step in loaded.workshop.solution:
        if isinstance(step, str):
            _do(command(step, loaded.plan.lab, str(path)))
    progress.write(loaded.name, replace(_entry(loaded), solved=True))


def _begin(loaded: Loaded) -> None:
    """Make the start state; who interrupts it is left with no half of it."""
    path = progress.topology(loaded.name)
    try:
        progress.write_whole(path, loaded.topology)
        _do(["up", str(path), "--no-verify"])
        for step in loaded.workshop.start:
            _do(command(step, loaded.plan.lab, str(path)))
    except KeyboardInterrupt:
        _undo(loaded)
        raise
    except typer.Exit as end:
        if end.exit_code == EXIT_INTERRUPTED:
            _undo(loaded)
        raise
    state = "passed" if _entry(loaded).state == "passed" else "started"
    progress.write(loaded.name, replace(_entry(loaded), state=state))
    output.console().print(f"the lab: {loaded.plan.lab}; its topology: {path}", markup=False)


def _undo(loaded: Loaded) -> None:
    """Take away a lab, if it is there, and the topology that was to be worked on."""
    if _quiet(["workshop", "running", loaded.name]) == EXIT_OK:
        _quiet(["down", loaded.plan.lab])
    progress.topology(loaded.name).unlink(missing_ok=True)


def _print_text(loaded: Loaded) -> None:
    print((loaded.folder / "README.md").read_text())


def _entry(loaded: Loaded) -> progress.Entry:
    return progress.read().get(loaded.name, progress.Entry())


def _runs(loaded: Loaded) -> bool:
    """Asked where labs run, quietly. Ends the command when that cannot be told, or is interrupted."""
    code = _quiet(["workshop", "running", loaded.name])
    if code not in (EXIT_OK, EXIT_CHECK_FAILED):
        raise typer.Exit(code)
    return code == EXIT_OK


def _do(argv: list[str]) -> None:
    """One of our commands, printed, run where it runs. Ends with its exit code when that is not 0."""
    if argv[0] != "workshop":
        print(f"$ dmvpn-lab {shlex.join(argv)}", flush=True)
    code = _quiet(argv)
    if code:
        raise typer.Exit(code)


def _quiet(argv: list[str]) -> int:
    from dmvpn_lab.__main__ import run  # it imports this module's package

    return run(argv)


app.command()(observe.observe)
app.command(hidden=True)(observe.running)

"""Every command and where it lives, so that one is run without importing the others.

What a command imports is most of what it takes to begin, above all in a machine that is emulated.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dmvpn_lab import __version__
from dmvpn_lab.errors import EXIT_INTERRUPTED, EXIT_OK

NAME = "dmvpn-lab"
EPILOG = (
    "Exit codes: 0 all passed, 1 a check failed, 2 usage or topology error, 3 the host cannot run it, "
    "130 interrupted."
)
COMMANDS = {
    "up": "lab.up",
    "down": "lab.down",
    "inspect": "lab.inspect",
    "verify": "lab.verify",
    "diagnose": "diagnose.command",
    "inject": "inject.app",
    "show": "show.show",
    "exec": "exec.exec_",
    "shell": "exec.shell",
    "events": "events.events",
    "watch": "watch.watch",
    "logs": "logs.logs",
    "capture": "capture.capture",
    "graph": "graph.draw",
    "doctor": "doctor.doctor",
    "machine": "machine.app",
    "image": "image.app",
    "schema": "schema.schema",
    "render": "render.render",
    "adopt": "render.adopt",
    "run": "run.run",
    "workshop": "workshop.app",
    "class": "classroom.app",
    "pytest": "suite.pytest_",
}
"""By name, in the order of the help: the file beside this one, and in it a function or a group."""
ASKED = {"workshop observe": "observe.observe", "workshop running": "observe.running"}
"""Commands of a group by which its others ask where labs run: without what these import."""
OTHERS_OPTIONS = frozenset({"exec", "pytest"})
"""Commands that hand options on, which are not theirs to know."""


class Words(TyperGroup):
    """Tells a wrong word as what it is, not as the input or value of pydantic, to which typer hands it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for. The context's class has no public name."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ").removeprefix("Input ")
            raise


def run_here(argv: list[str]) -> int:
    """Run one command in this process; returns its exit code. Errors of our tree pass through."""
    try:
        typer.main.get_command(command_line(_needed(argv))).main(args=argv, prog_name=NAME)
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt from None
        return end.code if isinstance(end.code, int) else EXIT_OK
    return EXIT_OK


def _needed(argv: list[str]) -> Iterable[str]:
    """The one that is asked for; all where none is, or another."""
    asked = " ".join(argv[:2])
    return [asked] if asked in ASKED else argv[:1] if argv and argv[0] in COMMANDS else COMMANDS


def command_line(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The program with these of its commands."""
    made = typer.Typer(
        name=NAME,
        cls=Words,
        help="DMVPN labs on plain Linux.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        callback=_main,
    )
    for name in names:
        file, _, word = (COMMANDS | ASKED)[name].partition(".")
        found = getattr(import_module(f"dmvpn_lab.cli.{file}"), word)
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=name)
        elif name in ASKED:
            group, _, inner = name.partition(" ")
            alone = typer.Typer(callback=lambda: None)
            alone.command(inner)(found)
            made.add_typer(alone, name=group)
        else:
            settings = {"ignore_unknown_options": True} if name in OTHERS_OPTIONS else None
            made.command(name, context_settings=settings)(found)
    return made


def _version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {__version__}")
        raise typer.Exit


def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""

"""The command line: every command and where it lives."""

from __future__ import annotations

from typing import Annotated

import typer

from dmvpn_lab import __version__
from dmvpn_lab.cli import (
    diagnose,
    doctor,
    image,
    inject,
    lab,
    look,
    machine,
    render,
    run,
    schema,
    see,
    suite,
    watch,
    workshop,
)
from dmvpn_lab.errors import EXIT_INTERRUPTED, EXIT_OK

EPILOG = (
    "Exit codes: 0 all passed, 1 a check failed, 2 usage or topology error, 3 the host cannot run it, "
    "130 interrupted."
)

app = typer.Typer(
    name="dmvpn-lab",
    help="DMVPN labs on plain Linux.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(lab.up)
app.command()(lab.down)
app.command()(lab.inspect)
app.command()(lab.verify)
app.command("diagnose")(diagnose.command)
app.add_typer(inject.app, name="inject")
app.command()(look.show)
app.command("exec", context_settings={"ignore_unknown_options": True})(look.exec_)
app.command()(look.shell)
app.command()(look.events)
app.command()(watch.watch)
app.command("logs")(see.show_logs)
app.command()(see.capture)
app.command("graph")(see.draw)
app.command()(doctor.doctor)
app.add_typer(machine.app, name="machine")
app.add_typer(image.app, name="image")
app.command()(schema.schema)
app.command()(render.render)
app.command()(render.adopt)
app.command()(run.run)
app.add_typer(workshop.app, name="workshop")
app.command("pytest", context_settings={"ignore_unknown_options": True})(suite.pytest_)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dmvpn-lab {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def run_here(argv: list[str]) -> int:
    """Run one command in this process; returns its exit code. Errors of our tree pass through."""
    try:
        typer.main.get_command(app).main(args=argv, prog_name="dmvpn-lab")
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt from None
        return end.code if isinstance(end.code, int) else EXIT_OK
    return EXIT_OK

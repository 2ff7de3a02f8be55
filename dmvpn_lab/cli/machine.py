"""`machine`: the virtual machine that runs labs where this kernel cannot."""

from __future__ import annotations

from typing import Annotated

import typer

from dmvpn_lab.cli import output
from dmvpn_lab.cli.options import Json
from dmvpn_lab.machine import client, vm
from dmvpn_lab.machine.paths import machine_paths
from dmvpn_lab.machine.progress import Steps

HELP = """The machine: a small VM with GRE and ESP.

In the environment: DMVPN_LAB_MACHINE names another machine, which has labs of its own; DMVPN_LAB_MACHINE_MIB
is its memory in MiB when it starts; DMVPN_LAB_CACHE is the folder where all of them are;
DMVPN_LAB_IN_MACHINE=1 has labs run in the machine on a kernel that could run them, too.
"""
app = typer.Typer(help=HELP, no_args_is_help=True)


def _ensure() -> vm.Running:
    steps = Steps()
    with steps.alive():
        return vm.ensure(steps)


@app.command()
def start() -> None:
    """Build, boot or resume the machine."""
    running = _ensure()
    output.console().print(f"the machine runs: pid {running.pid}, {running.accelerator}")


@app.command()
def stop() -> None:
    """End the machine and every lab in it; its image and saved state stay."""
    output.console().print("stopped" if vm.stop() else "the machine was not running")


@app.command()
def status(json: Json = False) -> None:
    """Tell whether the machine runs."""
    running = vm.find()
    facts = {
        "running": running is not None,
        "pid": running.pid if running else None,
        "accelerator": running.accelerator if running else None,
        "folder": str(machine_paths().folder),
    }
    if json:
        output.print_json(facts)
    else:
        output.print_table(("fact", "value"), facts.items())


@app.command(context_settings={"ignore_unknown_options": True})
def shell(
    command: Annotated[
        list[str] | None, typer.Argument(help="A command; a shell.", metavar="[-- COMMAND]")
    ] = None,
) -> None:
    """Run a command, or a shell, in the machine. The checkout is there under the same path."""
    running = _ensure()
    raise typer.Exit(client.run(running.port, running.token, None, command or ["bash", "--login"]))


@app.command()
def rm() -> None:
    """End the machine, and delete its image and saved state."""
    vm.remove()
    output.console().print("removed; the next start builds it again")

"""`image`: the node image, for Docker, containerlab and Kubernetes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dmvpn_lab.cli import output
from dmvpn_lab.container import image

app = typer.Typer(help="The node image: agent, FRR, tcpdump on Debian.", no_args_is_help=True)


class Base(StrEnum):
    """Where the base of the image comes from."""

    auto = "auto"
    registry = "registry"
    packages = "packages"


@app.command("build")
def build(
    base: Annotated[
        Base, typer.Option(help="Debian's image of a registry, or one made of Debian's packages.")
    ] = Base.auto,
    save: Annotated[
        Path | None, typer.Option("--output", help="Also write it there, for docker load.")
    ] = None,
) -> None:
    """Build the node image with this host's Docker."""
    built = image.make(base.value, lambda text: typer.echo(f"dmvpn-lab: {text}", err=True))
    if save is not None:
        image.save(built, save)
    output.console().print(built)

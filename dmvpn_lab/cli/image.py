"""`image`: the node image, for Docker, containerlab and Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmvpn_lab.cli import output
from dmvpn_lab.container import image

app = typer.Typer(help="The node image: agent, FRR, tcpdump on Debian.", no_args_is_help=True)


@app.command("build")
def build(
    base: Annotated[
        str,
        typer.Option(
            help="`registry` is Debian's slim image, `packages` one made of Debian's packages, `auto` what "
            "can be had; any other word is an image's name, such as REGISTRY/debian:trixie-slim.",
            metavar="BASE",
        ),
    ] = image.AUTO,
    save: Annotated[
        Path | None, typer.Option("--output", help="Also write it there, for docker load.")
    ] = None,
) -> None:
    """Build the node image with this host's Docker."""
    built = image.make(base, lambda text: typer.echo(f"dmvpn-lab: {text}", err=True))
    if save is not None:
        image.save(built, save)
    output.console().print(built)

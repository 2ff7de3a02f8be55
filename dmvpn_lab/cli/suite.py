"""`pytest`: a suite of tests, run where labs run."""

from __future__ import annotations

from typing import Annotated

import typer

from dmvpn_lab.errors import HostError

PLUGIN = "dmvpn_lab.pytest_plugin"


def pytest_(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="pytest's own.", metavar="[ARGUMENTS]")
    ] = None,
) -> None:
    """Run pytest with the lab fixtures, in the machine where this kernel has no GRE. Exit code: pytest's."""
    try:
        import pytest
    except ModuleNotFoundError:
        raise HostError("pytest is not installed", hint="pip install pytest") from None
    raise typer.Exit(int(pytest.main(["-p", PLUGIN, *(arguments or [])])))

"""The whole command line, as documents and tests see it."""

from __future__ import annotations

from dmvpn_lab.cli.commands import command_line

app = command_line()

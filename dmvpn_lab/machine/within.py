"""`dmvpn-lab` for a shell in the machine: its words run in a warm fork of the resident, as from outside.

A new interpreter there would import for many seconds under emulation what the resident has imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dmvpn_lab.machine import client
from dmvpn_lab.machine.qemu import GUEST

PORT = int(GUEST.rpartition(":")[2])
TOKEN = "dmvpn.token="
SHELL = (
    "bash",
    "-c",
    'dmvpn-lab() { python3 -m dmvpn_lab.machine.within "$@"; }; export -f dmvpn-lab; exec bash',
)
"""A shell in the machine that has the command."""


def token(command_line: str) -> str:
    """The secret of the machine, which its kernel was started with."""
    words = (word for word in command_line.split() if word.startswith(TOKEN))
    return next(words, "").removeprefix(TOKEN)


if __name__ == "__main__":
    sys.exit(client.run(PORT, token(Path("/proc/cmdline").read_text()), "dmvpn_lab", sys.argv[1:]))

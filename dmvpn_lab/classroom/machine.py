"""A learner's machine: the words and the environment of our commands that run in it.

It is a virtual machine of their own, also on a host whose kernel could run labs: a lab's nodes are root
on the kernel that they run on, so only another kernel keeps one learner from another and from the host.
Its network leads nowhere (QEMU's `restrict=on`); its one port is the host's, behind a secret.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from dmvpn_lab.machine.paths import cache_folder
from dmvpn_lab.machine.within import SHELL

NOT_PASSED = ("DMVPN_LAB_INSIDE_MACHINE", "DMVPN_LAB_NODE_ROOT", "DMVPN_LAB_WARM", "COLUMNS", "LINES")
NICE = "5"
"""Machines give way to the server: a learner whose programs spin does not make the pages slow."""
OWN_SHELL = "machine"
"""The name of the terminal that is no node's."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One learner's."""

    name: str
    """`class-CLASS.LEARNER`: no name has a dot, so no two are the same."""
    folder: Path
    """The learner's own: progress and topologies are in it."""
    memory_mib: int

    def environment(self) -> dict[str, str]:
        """Of every command: which machine, that it is one, and where progress is kept."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_PASSED}
        return kept | {
            "DMVPN_LAB_MACHINE": self.name,
            "DMVPN_LAB_IN_MACHINE": "1",
            "DMVPN_LAB_MACHINE_MIB": str(self.memory_mib),
            "XDG_STATE_HOME": str(self.folder),
            "TERM": "xterm-256color",
        }

    def has_run(self) -> bool:
        """Whether it may run: nobody has ended it since it was started."""
        return (cache_folder() / f"machine-{self.name}" / "running.json").exists()

    def states(self) -> Path:
        """Where the workshops' progress is."""
        return self.folder / "dmvpn-lab"

    def argv(self, *words: str) -> list[str]:
        """One of our commands. `-P`: what a learner's machine writes back is never imported."""
        return ["nice", "-n", NICE, sys.executable, "-P", "-m", "dmvpn_lab", *words]

    def terminal(self, node: str, lab: str) -> tuple[list[str], Path]:
        """A shell in a node, or in the machine itself; and where it is started.

        What a shell in the machine has written in its working folder comes back: from `/` nothing does.
        """
        if node == OWN_SHELL:
            return self.argv("machine", "shell", "--", *SHELL), Path("/")
        return self.argv("shell", node, "--lab", lab), self.folder

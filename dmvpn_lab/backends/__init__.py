"""Ways to run the nodes of a lab: one file a backend, imported when it is asked for."""

from __future__ import annotations

import os
import sys

from dmvpn_lab.backends.base import Backend
from dmvpn_lab.errors import UsageError

NAMES = ("netns", "docker", "containerlab")


def backend(name: str) -> Backend:
    """The backend of that name. Raises UsageError for an unknown one."""
    if name not in NAMES:
        raise UsageError(f"unknown backend {name!r}", hint=f"there is: {', '.join(NAMES)}")
    if name == "docker":
        from dmvpn_lab.backends.docker import DockerBackend

        return DockerBackend()
    if name == "containerlab":
        from dmvpn_lab.backends.containerlab import ContainerlabBackend

        return ContainerlabBackend()
    from dmvpn_lab.backends.netns import NetnsBackend

    return NetnsBackend(os.environ.get("DMVPN_LAB_NODE_ROOT") or _node_root)


def _node_root() -> str:
    """The nodes' root file system on this host; built if it is not there."""
    from dmvpn_lab.machine.build import node_root

    return str(node_root(lambda text: print(f"dmvpn-lab: {text}", file=sys.stderr, flush=True)))

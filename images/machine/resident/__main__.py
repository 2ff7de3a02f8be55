"""The machine's resident: holds imported libraries and forks one child a command.

Two tiers, so that a node's process does not carry the lab side's libraries:

    node-warm   standard library, vici                serves /run/dmvpn-lab/warm.sock
      `- lab-warm   + pydantic, typer, pyroute2 ...   serves TCP, one connection a command

It never imports dmvpn_lab: a saved state of the machine must not hold the project's code.
The frames of the TCP connection are described in wire.py beside this folder, and why what is preloaded
is made immortal in immortal.py. It is started in the folder that they are in.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from pathlib import Path

import immortal

from resident import first_users
from resident.command import WARM, command
from resident.forks import fork_on_request, serve

PORT = 4545
NODE_IMPORTS = ("asyncio", "ipaddress", "logging", "random", "vici.protocol")
LAB_IMPORTS = (
    "pydantic.main",  # pydantic itself imports nothing until it is asked for its names
    "pydantic.types",
    "pydantic.json_schema",
    "pydantic.functional_serializers",
    "pyroute2.iproute.linux",
    "yaml",
    "typer",
    "rich.console",
    "rich.table",
    "rich.progress",
    "rich.live",
    "rich.traceback",
    "docker",
    "pytest",
    "xml.etree.ElementTree",
    "difflib",
    "tempfile",
    "tomllib",
    "secrets",
    "gzip",
)


def main() -> None:
    """Fork lab-warm, then serve warm forks until the machine stops."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")
    first_users.hold()
    sys.path[:0] = ["/opt/dmvpn-lab/lab-lib", "/opt/dmvpn-lab/lib"]
    preload(NODE_IMPORTS)
    immortal.keep_all()
    warm = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    Path(WARM).unlink(missing_ok=True)
    warm.bind(WARM)
    os.chmod(WARM, 0o600)
    warm.listen(16)
    if os.fork() == 0:
        warm.close()
        preload(LAB_IMPORTS)
        server = socket.create_server(("0.0.0.0", PORT), backlog=64)
        gc.freeze()
        serve(server, command)
    gc.freeze()
    serve(warm, fork_on_request)


def preload(names: tuple[str, ...]) -> None:
    """Import what commands will need; a missing one only costs time later."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    main()  # when it ends, so does the machine: it is the first process

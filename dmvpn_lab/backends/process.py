"""Starts a Python module of the node side in the nodes' root file system.

In the machine a resident has imported the libraries and forks; elsewhere an interpreter of the
root file system is started in it.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from dmvpn_lab.errors import HostError, LabError

PACKAGE = Path(__file__).resolve().parent.parent
OWN = "/opt/dmvpn-lab"


class NodePython:
    """A running module of the node side: one JSON line in, JSON lines out."""

    def __init__(self, pid: int, stdin: IO[str], stdout: IO[str], finish: Callable[[], int]) -> None:
        self.pid = pid
        self._stdin = stdin
        self._stdout = stdout
        self._finish = finish

    def ask(self, request: Any) -> list[dict[str, Any]]:
        """Send the request; every answer until it ends. Blocking. Raises LabError."""
        with self._stdout:
            with contextlib.suppress(BrokenPipeError), self._stdin:  # died early: its exit code tells
                self._stdin.write(json.dumps(request) + "\n")
            answers = [json.loads(line) for line in self._stdout]
        code = self._finish()
        if code != 0:
            raise LabError(f"starting the nodes failed with {code}", hint="the error is above")
        return answers


def start(module: str, root: str) -> NodePython:
    """Start `python3 -m module` of the node side, with `root` as the nodes' root file system."""
    warm = os.environ.get("DMVPN_LAB_WARM")
    return _fork(module, warm) if warm and root == "/" else _spawn(module, root)


def _spawn(module: str, root: str) -> NodePython:
    target = Path(root + OWN, "src", "dmvpn_lab")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"{target}: {error.strerror}", hint="run 'dmvpn-lab machine rm' and try again"
        ) from error
    script = (
        'mount --make-rprivate / && mount --bind "$1" "$2/opt/dmvpn-lab/src/dmvpn_lab" && '
        'exec chroot "$2" env PYTHONPATH=/opt/dmvpn-lab/src:/opt/dmvpn-lab/lib PYTHONDONTWRITEBYTECODE=1 '
        'python3 -m "$3"'
    )
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(PACKAGE), root, module]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    return NodePython(process.pid, process.stdin, process.stdout, process.wait)


def _fork(module: str, warm: str) -> NodePython:
    in_r, in_w = os.pipe()
    out_r, out_w = os.pipe()
    request = {
        "module": module,
        "argv": [],
        "path": [str(PACKAGE.parent)],
        "env": {},
        "cwd": "/",
    }
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(warm)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [in_r, out_w, 2]))]
    connection.sendmsg([json.dumps(request).encode() + b"\n"], rights)
    os.close(in_r)
    os.close(out_w)
    answers = connection.makefile("r", encoding="utf-8")
    pid = int(json.loads(answers.readline())["pid"])

    def finish() -> int:
        with connection, answers:
            return int(json.loads(answers.readline())["exit"])

    return NodePython(pid, os.fdopen(in_w, "w"), os.fdopen(out_r, "r"), finish)

"""The warm parent: has imported the node side once, and forks the first process of each node.

    stdin   {"root": "/", "folder": "/run/dmvpn-lab/labs/x", "nodes": ["hub", "spoke-a", ...]}
    stdout  {"node": "hub", "pid": 123}        or  {"node": "hub", "error": "..."}

One line a node, then it ends; the nodes live on, each the first of its own PID namespace.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import sys
from pathlib import Path

from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.linux.namespaces import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    sethostname,
    unshare,
)
from dmvpn_lab.node import config, immortal, init, root

ALL = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC


def main() -> int:
    """Fork the nodes that stdin names."""
    request = json.loads(sys.stdin.readline())
    folder = Path(request["folder"])
    gc.collect()
    immortal.keep_all()
    gc.freeze()
    started = {name: start(name, request["root"], folder / name) for name in request["nodes"]}
    for name, (pid, pipe) in started.items():
        with os.fdopen(pipe, "r") as messages:
            error = messages.read()
        print(json.dumps({"node": name, "error": error} if error else {"node": name, "pid": pid}), flush=True)
    return 0


def start(name: str, lower: str, folder: Path) -> tuple[int, int]:
    """Fork one node. Returns its PID and a pipe: empty at its end, or with what went wrong."""
    pid_r, pid_w = os.pipe()
    error_r, error_w = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.close(pid_r)
        os.close(error_r)
        _middle(name, lower, folder, pid_w, error_w)
    os.close(pid_w)
    os.close(error_w)
    with os.fdopen(pid_r, "r") as answer:
        text = answer.read()
    os.waitpid(middle, 0)
    return int(text or 0), error_r


def _middle(name: str, lower: str, folder: Path, pid_w: int, error_w: int) -> None:
    """New namespaces; the next child is the first process of the PID namespace."""
    try:
        unshare(ALL)
        first = os.fork()
        if first == 0:
            os.close(pid_w)
            _first(name, lower, folder, error_w)
        os.write(pid_w, str(first).encode())
    except OSError as error:
        os.write(error_w, str(error).encode())
    finally:
        os._exit(0)


def _first(name: str, lower: str, folder: Path, error_w: int) -> None:
    """The first process of a node, for as long as the node lives."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        error_w = _redirect(folder / "init.log", error_w)
        try:
            sethostname(name)
            root.enter(lower, folder)
            node = config.load()
        except (OSError, DmvpnLabError) as error:
            os.write(error_w, str(error).encode())
            return
        os.close(error_w)  # the launcher has its answer; from here on the log tells
        code = init.main(node)
    except BaseException:  # noqa: BLE001 - a forked child must not return into its parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: Path, error_w: int) -> int:
    """Output to the log; nothing of the launcher stays open but the error pipe, returned as 3."""
    fd = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    null = os.open("/dev/null", os.O_RDONLY)
    high = fcntl.fcntl(error_w, fcntl.F_DUPFD, 10)
    for target, source in ((0, null), (1, fd), (2, fd), (3, high)):
        os.dup2(source, target, inheritable=target < 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return 3


if __name__ == "__main__":
    sys.exit(main())

"""Labs of plain nodes, run natively: no GRE is needed to fork, wire, enter and remove nodes."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.backends.netns import NetnsBackend
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.backends.plain import plain_files, plain_plan


@pytest.fixture
def lab_name() -> Iterator[str]:
    """A name that no other lab has; whatever the test leaves of it is removed."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    yield name
    Cgroup(name).kill()
    LabFolder(name).remove()
    (LabFolder(name).path.parent.parent / f"{name}.lock").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class PlainLab:
    """What a test needs to run one."""

    plan: Plan
    files: dict[str, dict[str, str]]
    backend: NetnsBackend


@pytest.fixture
def plain(lab_name: str, warm_parent: None) -> PlainLab:
    """A lab that is not started yet."""
    plan = plain_plan(lab_name)
    return PlainLab(plan, plain_files(plan), NetnsBackend("/"))


@pytest.fixture
def warm_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A resident as the machine has one, which starts an interpreter instead of forking."""
    path = tmp_path / "warm.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener,), daemon=True)
        thread.start()
        monkeypatch.setenv("DMVPN_LAB_WARM", str(path))
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(ConnectionError):
            data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(12))
            if not data:
                continue  # killed before it asked
            fds = array.array("i", ancillary[0][2][:12])
            request = json.loads(data)
            environment = {"PYTHONPATH": ":".join(request["path"]), "PATH": os.environ["PATH"]}
            child = subprocess.Popen(
                [sys.executable, "-m", request["module"]],
                stdin=fds[0], stdout=fds[1], stderr=fds[2], env=environment,
            )  # fmt: skip
            for fd in fds:
                os.close(fd)
            try:
                connection.sendall(json.dumps({"pid": child.pid}).encode() + b"\n")
            finally:
                code = child.wait()
            connection.sendall(json.dumps({"exit": code}).encode() + b"\n")

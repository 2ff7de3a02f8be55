"""The first process: what it sets up, in which order, and what it says of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.errors import EXIT_HOST, LabError
from dmvpn_lab.linux.namespaces import CLONE_NEWUTS, unshare
from dmvpn_lab.node import init, supervisor
from dmvpn_lab.node.config import NodeConfig, parse
from tests.live.namespaces import Netns, wire

pytestmark = pytest.mark.root
PATIENCE_S = 20.0


@pytest.fixture
def node() -> Iterator[Netns]:
    made, other = Netns(), Netns()
    wire(other, "far", made, "eth1")
    yield made
    made.close()
    other.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the node writes, instead of /run."""
    monkeypatch.setattr(init, "READY", tmp_path / "ready")
    monkeypatch.setattr(init, "LOGS", tmp_path / "log")
    monkeypatch.setattr(supervisor, "LOGS", tmp_path / "log")
    return tmp_path


def document(**changes: Any) -> NodeConfig:
    return parse(
        {"version": 1, "hostname": "spoke-a", "interfaces": [], "services": [], "agent": False} | changes
    )


def start(node: Netns, config: NodeConfig, errors: Path) -> int:
    """The first process, in namespaces of its own but for files and PIDs."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            with errors.open("w", buffering=1) as log, node.entered():
                os.dup2(log.fileno(), 2)
                sys.stderr = log
                unshare(CLONE_NEWUTS)
                code = init.main(config)
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_for(path: Path, pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the node ended"
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.01)


def test_a_node_says_when_it_is_ready_and_how_long_each_phase_took_and_ends_when_told(
    node: Netns, run: Path
) -> None:
    script = f"""
        hostname > {run}/hostname
        ip -br -4 addr show eth1 > {run}/address
        cat /proc/sys/net/ipv4/ip_forward > {run}/forward
        touch {run}/up
        exec sleep 60
    """
    config = document(
        interfaces=[{"name": "eth1", "mtu": 1400, "addresses": ["192.0.2.1/24"]}],
        sysctls={"net.ipv4.ip_forward": "1"},
        directories={str(run / "made" / "deep"): "root"},
        services=[{"name": "probe", "argv": ["sh", "-c", script], "ready": f"{run}/up"}],
    )
    pid = start(node, config, run / "errors")
    wait_for(run / "ready", pid)
    said = json.loads((run / "ready").read_text())
    assert set(said["phases"]) == {"filter", "interfaces", "services"}
    assert set(said["services"]) == {"probe"}
    assert all(0 <= each < PATIENCE_S for each in (*said["phases"].values(), *said["services"].values()))
    assert said["phases"]["services"] > 0
    assert not list(run.glob("*.part"))
    # The service saw what had to be there before it.
    assert (run / "hostname").read_text() == "spoke-a\n"
    assert "192.0.2.1/24" in (run / "address").read_text()
    assert (run / "forward").read_text() == "1\n"
    assert (run / "made" / "deep").is_dir()
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 0


def test_a_service_that_ends_early_ends_the_node_with_its_log_and_it_is_never_ready(
    node: Netns, run: Path
) -> None:
    config = document(services=[{"name": "bad", "argv": ["sh", "-c", "echo why; exit 4"], "ready": "/never"}])
    assert ended(start(node, config, run / "errors")) == LabError("").exit_code
    assert "dmvpn-node: bad ended with 4:\nwhy\n" in (run / "errors").read_text()
    assert not (run / "ready").exists()


def test_an_unknown_owner_and_an_unknown_setting_are_the_hosts_fault_and_named(
    node: Netns, run: Path
) -> None:
    config = document(directories={str(run / "x"): "nobody-of-that-name"})
    assert ended(start(node, config, run / "errors")) == EXIT_HOST
    assert "nobody-of-that-name" in (run / "errors").read_text()
    config = document(sysctls={"net.ipv4.no_such_setting": "1"})
    assert ended(start(node, config, run / "errors")) == EXIT_HOST
    assert "no_such_setting" in (run / "errors").read_text()


def test_rules_that_the_packet_filter_refuses_end_the_node_before_any_interface_is_up(
    node: Netns, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "bin").mkdir()
    (run / "bin" / "nft").write_text("#!/bin/sh\ncat > /dev/null\necho 'syntax error' >&2\nexit 1\n")
    (run / "bin" / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{run}/bin:{os.environ['PATH']}")
    node.down("eth1")
    config = document(nft="nonsense", interfaces=[{"name": "eth1", "mtu": 1500, "addresses": []}])
    assert ended(start(node, config, run / "errors")) == 1
    assert (run / "errors").read_text() == "dmvpn-node: nft refused the node's rules: syntax error\n"
    assert "state DOWN" in node.ip("link show eth1")

"""`dmvpn-lab capture` gives a file that the real tshark reads, of lines in the clear and protected."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import labs
from tests.unit.programs import path_of

pytestmark = [pytest.mark.long, pytest.mark.root, pytest.mark.program("tshark")]
PATIENCE_S = 500
REQUEST, REPLY = "3", "4"


def command(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dmvpn_lab", *argv], cwd=labs.TOP, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def must(*argv: str) -> str:
    done = command(*argv)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["hub-and-spoke", "ipsec"])
def captured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """A lab's name and a capture of its hub's tunnel while a spoke changes its address."""
    name: str = request.param
    path = labs.topology(tmp_path_factory.mktemp(name), name, f"test-outside-{name}")
    must("up", "--no-verify", str(path))
    yield path.stem, path.with_suffix(".pcap")
    must("down", path.stem)


def fields(path: Path, *wanted: str) -> list[list[str]]:
    """What tshark reads of each packet."""
    argv = [path_of("tshark"), "-n", "-r", str(path), "-T", "fields", *(w for f in wanted for w in ("-e", f))]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert "cut short" not in done.stderr, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("interface", ["eth1", "tunnel0"])
def test_tshark_reads_what_was_captured(captured: tuple[str, Path], interface: str) -> None:
    lab, path = captured
    argv = [sys.executable, "-m", "dmvpn_lab", "capture", f"hub:{interface}", "--seconds", "60",
            "--output", str(path), "--lab", lab]  # fmt: skip
    with subprocess.Popen(argv, cwd=labs.TOP, stderr=subprocess.PIPE, text=True) as capture:
        assert capture.stderr is not None
        assert any("listening on" in line for line in capture.stderr)
        must("inject", "address-change", "spoke-a", "--lab", lab)
        capture.send_signal(2)
        capture.communicate(timeout=60)
    assert capture.returncode == 0
    must("inject", "undo", "--all", "--lab", lab)
    seen = fields(path, "frame.protocols", "nhrp.hdr.op.type", "_ws.malformed")
    assert [each for each in seen if each[2]] == []
    kinds = {each[1] for each in seen if ":nhrp" in each[0]}
    if interface == "eth1" and "ipsec" in lab:
        assert kinds == set()
        assert any(each[0].endswith(":esp") for each in seen)
    else:
        assert kinds == {REQUEST, REPLY}

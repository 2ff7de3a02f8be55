"""`capture`, `graph`, `logs -f` and `up --node-filter` as a user types them, on running labs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dmvpn_lab.backends.state import running_labs
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs, pcap
from tests.live.capture import ETH_P_NHRP, Frame

pytestmark = pytest.mark.live
HUB, OLD, NEW = "172.17.0.1", "172.16.1.1", "172.16.1.77"
IKE_PORTS = {500, 4500}
ESP, UDP = 50, 17
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def protected(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    """The deck's lab, protected."""
    path = labs.topology(tmp_path_factory.mktemp("protected"), "ipsec", "test-look")
    with dmvpn_labs.running(str(path)) as lab:
        yield lab


@contextlib.contextmanager
def until_interrupted(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on; at the end of the block it alone gets what Ctrl-C is, and has to be content."""
    with labs.start_command(*argv) as command:
        try:
            yield command
            command.send_signal(signal.SIGINT)
            said, _ = command.communicate(timeout=60)
            assert command.returncode == 0, said
        finally:
            command.kill()


@contextlib.contextmanager
def captured(lab: LiveLab, where: str, path: Path) -> Iterator[None]:
    """`capture` of a line into a file, from before the block on: tcpdump has told that it listens."""
    with until_interrupted("capture", where, "--output", str(path), "--lab", lab.name) as command:
        assert command.stdout is not None
        said = []
        for line in command.stdout:
            said.append(line)
            if "listening on" in line:
                break
        else:
            raise AssertionError(f"capture of {where} ended: {''.join(said)}")
        yield


@contextlib.contextmanager
def traffic(lab: LiveLab) -> Iterator[None]:
    """Pings between the spokes' hosts, twenty a second, until the block ends."""
    argv = lab.lab.backend.enter_argv(
        lab.name, "host-1", ["timeout", "300", "ping", "-i", "0.05", "192.168.2.2"]
    )
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as ping:
        assert ping.stdout is not None
        assert any("bytes from" in line for line in ping.stdout), "no ping came back"
        yield
        assert ping.poll() is None, "the pings ended"
        lab.must("host-1", "pkill", "-INT", "-x", "ping")
        ping.communicate(timeout=60)


def nhrp(frames: list[Frame]) -> set[tuple[str, str]]:
    """Outer source and destination of each NHRP packet in the clear."""
    return {each.way for each in frames if each.gre is not None and each.gre.protocol == ETH_P_NHRP}


def cli(lab: LiveLab, *argv: str) -> tuple[int, str]:
    """A command of the command line on a lab."""
    return labs.cli(*argv, "--lab", lab.name)


def test_an_interrupted_capture_under_traffic_is_whole_and_holds_the_registration(
    deck: LiveLab, tmp_path: Path
) -> None:
    path = tmp_path / "hub.pcap"
    with traffic(deck), captured(deck, "hub:eth1", path):
        deck.address_change("spoke-a", f"{NEW}/24")
    seen = pcap.frames(path)
    assert nhrp(seen) == {(NEW, HUB), (HUB, NEW)}
    pings = [each for each in seen if each.inner is not None and each.inner.source == "192.168.1.2"]
    assert {each.way for each in pings} >= {(NEW, HUB), (HUB, "172.16.2.1")}
    assert deck.exec("hub", "pgrep", "-x", "tcpdump").exit_code == 1


@pytest.mark.long
def test_a_capture_of_a_protected_line_shows_esp_and_of_its_tunnel_the_registration(
    protected: LiveLab, tmp_path: Path
) -> None:
    line, tunnel = tmp_path / "line.pcap", tmp_path / "tunnel.pcap"
    with captured(protected, "hub", line), captured(protected, "hub:tunnel0", tunnel), traffic(protected):
        protected.address_change("spoke-a", f"{NEW}/24")
    seen = pcap.frames(line)
    assert [each for each in seen if each.gre is not None] == []
    assert {each.way for each in seen if each.ip.protocol == ESP} >= {(NEW, HUB), (HUB, NEW)}
    ike = [each for each in seen if each.ip.protocol == UDP and each.ip.source == NEW]
    assert {struct.unpack_from("!H", each.ip.payload)[0] for each in ike} & IKE_PORTS
    _, inside = pcap.packets(tunnel)
    assert any(bytes([10, 0, 0, 11]) in each and bytes([172, 16, 1, 77]) in each for each in inside)


def test_a_capture_ends_by_itself_after_so_many_packets(deck: LiveLab, tmp_path: Path) -> None:
    path = tmp_path / "host.pcap"
    with traffic(deck):
        code, said = cli(deck, "capture", "host-2", "--count", "5", "--output", str(path))
    assert code == 0, said
    assert len(pcap.packets(path)[1]) == 5


def test_a_capture_without_a_file_goes_into_the_pipe_packet_by_packet(deck: LiveLab) -> None:
    argv = [sys.executable, "-m", "dmvpn_lab", "capture", "host-2", "--lab", deck.name]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with (
        traffic(deck),
        subprocess.Popen(argv, cwd=labs.TOP, env=environment, stdout=subprocess.PIPE) as command,
    ):
        assert command.stdout is not None
        assert command.stdout.read(pcap.GLOBAL_OCTETS)[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4")
        _, _, octets, _ = struct.unpack("=IIII", command.stdout.read(16))
        assert len(command.stdout.read(octets)) == octets
        assert command.poll() is None  # there it is before the capture ends
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=60)
    assert command.returncode == 0


def test_a_picture_of_a_running_lab_says_who_is_registered_and_who_is_not(
    deck: LiveLab, tmp_path: Path
) -> None:
    code, drawn = cli(deck, "graph")
    assert code == 0
    assert drawn.count('==>|"dmvpn: registered"| n_hub') == 2
    deck.link_down("spoke-b")
    deck.run(deck.lab.query("hub", "expire"))
    deck.address_change("spoke-a", f"{NEW}/24")  # it registers again, spoke-b cannot
    _, drawn = cli(deck, "graph")
    assert '  n_spoke_a ==>|"dmvpn: registered"| n_hub' in drawn
    assert '  n_spoke_b -.->|"dmvpn: not registered"| n_hub' in drawn
    path = tmp_path / "lab.svg"
    assert cli(deck, "graph", "--format", "svg", "--output", str(path)) == (0, "")
    words = [each.text for each in ElementTree.parse(path).iter(f"{SVG}text")]
    assert words.count("dmvpn: registered") == words.count("dmvpn: not registered") == 1
    assert set(deck.plan.node("hub").name.split()) <= set(filter(None, words))


def test_logs_that_are_followed_show_what_was_and_what_comes(deck: LiveLab) -> None:
    with until_interrupted("logs", "spoke-a", "dhcpcd", "-f", "--lab", deck.name) as command:
        assert command.stdout is not None
        assert any(f"leased {OLD}" in line for line in command.stdout)
        deck.address_change("spoke-a", f"{NEW}/24")
        assert any(f"leased {NEW}" in line for line in command.stdout)
    assert deck.exec("spoke-a", "pgrep", "-x", "tail").exit_code == 1


def test_of_a_part_of_a_lab_only_its_nodes_start_and_verify_says_so(tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke", "test-part")
    try:
        code, said = labs.cli("up", "--node-filter", "hub,spoke-a", str(path))
        assert code == 0, said
        assert "test-part without spoke-b, host-2: verified" in said
        assert "spoke-b" not in said.replace("without spoke-b", "")
        code, listed = labs.cli("inspect", "--json")
        (lab,) = [each for each in json.loads(listed) if each["lab"] == "test-part"]
        assert {node["name"] for node in lab["nodes"] if node["running"]} == {
            "hub", "spoke-a", "isp", "host-0", "host-1",
        }  # fmt: skip
        assert labs.told("test-part", "verify")["left_out"] == ["spoke-b", "host-2"]
    finally:
        labs.down("test-part")
    assert "test-part" not in running_labs()

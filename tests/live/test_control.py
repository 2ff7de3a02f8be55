"""What an agent says of itself, and what it does about requests that it must refuse."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from dmvpn_lab.daemon.__main__ import main
from dmvpn_lab.nhrp.constants import CieCode, ErrorCode, PacketType
from dmvpn_lab.nhrp.packet import encode
from tests.live.agents import Control, World, spoke_tunnel, tunnel, world
from tests.live.speaker import Speaker

pytestmark = pytest.mark.live
MEBI = 1 << 20


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def test_a_wrong_authentication_string_gets_an_error_indication_and_is_counted(lab: World) -> None:
    hub = lab.hub(authentication="secret")
    control = hub.start()
    control.wait("agent-ready")
    speaker = Speaker(lab.spoke(1), "10.0.0.11/24")
    for secret in ("wrong", "secre", "secret!", None):
        request = speaker.registration(secret=secret)
        answer = speaker.ask(request)
        assert (answer.type, answer.error_code) == (
            PacketType.ERROR_INDICATION, ErrorCode.AUTHENTICATION_FAILURE,
        )  # fmt: skip
        assert encode(request).startswith(answer.payload)
        control.wait("peer-refused", protocol="10.0.0.11", nbma="172.16.1.1")
    assert control.counter("bad-authentication") == 4
    assert control.counter("error-sent-code-11") == 4
    assert (control.query("nhrp"), hub.neighbours()) == ([], {})
    accepted = speaker.ask(speaker.registration(secret="secret"))
    assert (accepted.type, accepted.cies[0].code) == (PacketType.REGISTRATION_REPLY, CieCode.SUCCESS)


def test_a_spoke_with_the_wrong_string_is_told_and_says_so(lab: World) -> None:
    lab.hub(authentication="secret").start()
    control = lab.spoke(1, authentication="other").start()
    control.wait("registration-sent")
    control.until("error-received-code-11", 1)
    entry = control.query("nhs")[0]
    assert (entry["state"], entry["last_error"]) == ("registering", "error indication, code 11")


def test_a_unique_address_is_not_given_to_another_and_the_owner_keeps_it(lab: World) -> None:
    hub = lab.hub()
    control = hub.start()
    lab.spoke(1, unique=True).start().wait("registered")
    thief = lab.add("thief", "172.16.2.1/24", spoke_tunnel(1))
    refused = thief.start().wait("registration-refused")
    assert (refused["code"], refused["meaning"]) == (14, "unique address already registered")
    control.wait("peer-refused", protocol="10.0.0.11", nbma="172.16.2.1", code=14)
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    assert control.counter("refused-code-14") == 1
    (entry,) = control.query("nhrp")
    assert (entry["nbma"], entry["flags"]) == ("172.16.1.1", ["multicast", "registered", "unique"])


def test_an_address_that_is_not_unique_moves_to_who_asks_last(lab: World) -> None:
    hub = lab.hub()
    control = hub.start()
    control.wait("agent-ready")
    one = Speaker(lab.spoke(1), "10.0.0.11/24")
    two = Speaker(lab.spoke(2), "10.0.0.11/24")
    assert one.ask(one.registration(number=1)).cies[0].code == CieCode.SUCCESS
    assert two.ask(two.registration(number=2)).cies[0].code == CieCode.SUCCESS
    control.wait("peer-registered", nbma="172.16.2.1", previous_nbma="172.16.1.1")
    assert hub.neighbours() == {"10.0.0.11": "172.16.2.1"}
    assert [each["nbma"] for each in control.query("multicast")] == ["172.16.2.1"]


def test_broken_packets_raise_counters_and_nothing_else(lab: World) -> None:
    hub = lab.hub()
    control = hub.start()
    spoke = lab.spoke(1)
    spoke.start().wait("registered")
    before = (hub.neighbours(), control.query("multicast"), [e["protocol"] for e in control.query("nhrp")])
    speaker = Speaker(lab.spoke(2), "10.0.0.12/24")
    good = encode(speaker.registration(IPv4Address("10.0.0.50")))
    rng = random.Random(2332)
    # The kernel's GRE drops what has not 12 octets with its header (net/ipv4/gre_demux.c).
    broken = [good[:length] for length in range(4, len(good))]
    broken += [bytes([*good[:at], good[at] ^ 0xFF, *good[at + 1 :]]) for at in range(len(good))]
    broken += [rng.randbytes(rng.randrange(4, 1400)) for _each in range(100)]
    for packet in broken:
        speaker.send(packet)
    last = speaker.ask(replace(speaker.registration(number=77), type=PacketType.PURGE_REQUEST))
    assert last.type == PacketType.PURGE_REPLY  # it has seen the others by now
    counters = control.query("counters")["tunnel0"]
    assert counters["malformed"] + counters["bad-checksum"] == len(broken)
    assert counters["received-registration-request"] == 1  # the spoke's
    after = (hub.neighbours(), control.query("multicast"), [e["protocol"] for e in control.query("nhrp")])
    assert after == before
    assert hub.log == ""
    spoke.ping("10.0.0.1")


def test_the_socket_is_the_owners_alone_and_an_agent_that_was_killed_leaves_it_to_the_next(
    lab: World,
) -> None:
    hub = lab.hub()
    hub.start()
    path = Path(hub.config["control"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    hub.end(signal.SIGKILL)
    assert path.exists()
    assert hub.start().query("status")["tunnels"][0]["up"] is True
    assert hub.end(signal.SIGTERM) == 0
    assert not path.exists()


def test_a_second_agent_at_the_same_socket_gives_up_and_the_first_goes_on(lab: World, tmp_path: Path) -> None:
    hub = lab.hub()
    control = hub.start()
    control.wait("agent-ready")
    config, said = tmp_path / "agent.json", tmp_path / "said"
    config.write_text(json.dumps(hub.config))
    with hub.netns.entered():
        pid = os.fork()
        if pid == 0:
            _be_program(["dmvpn-agent", "--config", str(config)], said)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    wanted = f"dmvpn-agent: control socket {hub.config['control']}: another agent answers there\n"
    assert said.read_text() == wanted
    assert control.query("status")["tunnels"][0]["interface"] == "tunnel0"


def test_a_subscriber_that_comes_late_gets_what_was_before_and_one_that_does_not_ask_for_it_not(
    lab: World,
) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    hub.start()
    spoke.start().wait("registered")
    late = Control(Path(hub.config["control"]))
    late.subscribe()
    event = late.wait("peer-registered", protocol="10.0.0.11")
    assert event["v"] == 1
    assert [each["event"] for each in late.events][:1] == ["tunnel-up"]
    late.close()


def test_the_last_words_of_an_agent_reach_its_subscribers(lab: World) -> None:
    hub = lab.hub()
    control = hub.start()
    control.wait("agent-ready")
    os.kill(hub.pid, signal.SIGTERM)
    assert control.wait("tunnel-down")["reason"] == "the agent ends"


def test_a_tunnel_that_the_kernel_refuses_does_not_harm_the_others(lab: World) -> None:
    good, bad = tunnel("10.0.0.1/24"), tunnel("10.1.0.1/24", name="tunnel1", key=2, mtu=65535)
    control = lab.add("hub", "172.17.0.1/24", bad, good).start()
    assert control.wait("tunnel-down", interface="tunnel1")["reason"].startswith("tunnel1: ")
    assert control.wait("agent-ready")["tunnels"] == ["tunnel0"]
    states = {each["interface"]: each["up"] for each in control.query("status")["tunnels"]}
    assert states == {"tunnel0": True, "tunnel1": False}


def _be_program(argv: list[str], said: Path) -> None:
    """In the fork: the agent's command line."""
    code = 1
    try:
        sys.argv = argv
        with said.open("w", buffering=1) as sys.stderr:
            code = main()
    finally:
        os._exit(code)


FARM = """
import gc, json, os, socket, sys, time
from dmvpn_lab.daemon.__main__ import run
from dmvpn_lab.daemon.config import parse
from dmvpn_lab.linux.namespaces import CLONE_NEWNET, unshare
from dmvpn_lab.node import immortal
gc.collect(); immortal.keep_all(); gc.freeze()
pids = []
for config in json.load(sys.stdin):
    pid = os.fork()
    if pid == 0:
        unshare(CLONE_NEWNET)
        run(parse(config))
        os._exit(0)
    pids.append(pid)
print(json.dumps(pids), flush=True)
for pid in pids:
    os.waitpid(pid, 0)
"""


def test_an_agent_that_was_forked_from_a_warm_parent_costs_less_than_five_megabytes(tmp_path: Path) -> None:
    count = 24
    alike = {"version": 1, "tunnels": [spoke_tunnel(1) | {"source": "lo"}]}
    configs = [alike | {"control": str(tmp_path / f"{number}.sock")} for number in range(count)]
    farm = subprocess.Popen(
        [sys.executable, "-c", FARM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))},  # where the node's libraries are
    )  # fmt: skip
    assert farm.stdin is not None
    assert farm.stdout is not None
    pids: list[int] = []
    try:
        farm.stdin.write(json.dumps(configs).encode())
        farm.stdin.close()
        pids = json.loads(farm.stdout.readline())
        pss: list[int] = []
        for number, pid in enumerate(pids):
            control = _connect(tmp_path / f"{number}.sock")
            control.subscribe()
            control.wait("agent-ready", tunnels=["tunnel0"])
            control.query("counters")
            control.close()
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            (line,) = [each for each in rollup.splitlines() if each.startswith("Pss:")]
            pss.append(int(line.split()[1]) * 1024)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        assert farm.wait(15) == 0
        farm.stdout.close()
    print(f"{count} agents, proportional memory of one: {max(pss) / MEBI:.2f} MiB at most")
    assert max(pss) < 5 * MEBI


def _connect(path: Path) -> Control:
    """A client, once the agent listens."""
    deadline = time.monotonic() + 15
    while True:
        try:
            return Control(path)
        except OSError:
            assert time.monotonic() < deadline, f"no agent at {path}"
            time.sleep(0.05)

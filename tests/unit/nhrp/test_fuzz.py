"""Short campaigns of the fuzzer, that it finds what is planted, and what a flood leaves behind."""

from __future__ import annotations

import random
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface

import pytest

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp import nhs, server
from dmvpn_lab.nhrp import packet as packets
from dmvpn_lab.nhrp.actions import Action
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.config import CACHE_LIMIT, TunnelConfig
from dmvpn_lab.nhrp.packet import encode
from dmvpn_lab.nhrp.shortcuts import Shortcut, Shortcuts
from tests.fuzz import targets
from tests.fuzz.__main__ import mutate
from tests.unit.nhrp.builders import carry_out, hub, request
from tests.unit.nhrp.deck import TUNNEL
from tests.unit.nhrp.seen import packets as sent

RUNS = 4000
WIDE = IPv4Interface("10.0.0.1/8")


@pytest.mark.parametrize("target", targets.TARGETS)
def test_thousands_of_mutated_packets_raise_nothing_and_leave_nothing(target: str) -> None:
    assert mutate(target, RUNS, seed=7) == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))  # in parts: a busy host needs longer for all than a test may
@pytest.mark.parametrize("target", targets.TARGETS)
def test_ten_times_a_million_mutated_packets_raise_nothing_and_leave_nothing(target: str, seed: int) -> None:
    argv = [sys.executable, "-m", "tests.fuzz", target, "--runs", "1000000", "--seed", str(seed)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_mutations_reach_beyond_the_header() -> None:
    rng, kinds, sound = random.Random(1), set(), 0
    for _ in range(2000):
        data = targets.mutated(rng.choice(targets.SEEDS), rng)
        try:
            kinds.add(packets.decode(data).type)
            sound += 1
        except DecodeError:
            continue
    assert sound > 300
    assert {1, 2, 3, 4} <= kinds


def test_an_error_of_another_kind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(data: bytes) -> object:
        found = real(data)
        return found.extension(9).value if found.hop_count == 4 else found  # type: ignore[union-attr]

    real = packets.decode
    monkeypatch.setattr(targets, "decode", careless)
    with pytest.raises(AttributeError):
        mutate("decode", 50_000, seed=1)


def test_state_that_a_refused_packet_leaves_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: server.Server, *arguments: object) -> list[object]:
        done = refuse(self, *arguments)  # type: ignore[arg-type]
        for tunnel in self._tunnels.values():
            for binding in list(tunnel.cache):
                tunnel.cache.remove(binding.protocol)
        return done  # type: ignore[return-value]

    refuse = server.Server._refuse
    monkeypatch.setattr(server.Server, "_refuse", forgetful)
    with pytest.raises(AssertionError):
        mutate("agent", 50_000, seed=1)


def test_what_a_spoke_may_take_of_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(binding: Binding, request: packets.Packet, outer: IPv4Address, config: TunnelConfig) -> bool:
        return mind(binding, request, binding.nbma, config)

    mind = nhs.is_purged
    monkeypatch.setattr(nhs, "is_purged", trusting)
    with pytest.raises(AssertionError):
        mutate("transit", 50_000, seed=1)


def test_the_end_of_a_shortcut_is_reached_at_a_spoke(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(self: Shortcuts, shortcut: Shortcut, reason: str) -> list[Action]:
        raise KeyError(reason)

    monkeypatch.setattr(Shortcuts, "remove", careless)
    with pytest.raises(KeyError):
        mutate("spoke", 50_000, seed=1)


def test_a_flood_of_distinct_registrations_stops_at_the_limit_and_is_told_so() -> None:
    at_hub = hub(address=WIDE)
    codes = set()
    for number in range(CACHE_LIMIT + 50):
        protocol, nbma = IPv4Address(0x0A010000 + number), IPv4Address(0xAC100000 + number)
        data = encode(request(protocol, nbma, destination_protocol=WIDE.ip))
        (answer,) = sent(carry_out(at_hub, at_hub.receive(TUNNEL, data, nbma, 1.0), 1.0))
        codes.add((number < CACHE_LIMIT, answer.cies[0].code))
    (cache,) = at_hub.domains.values()
    assert len(cache) == CACHE_LIMIT
    assert codes == {(True, 0), (False, 5)}
    assert at_hub.counters()[TUNNEL]["refused-code-5"] == 50


def test_a_flood_that_the_kernel_does_not_answer_waits_up_to_a_limit() -> None:
    at_hub = hub(address=WIDE)
    asked = 0
    for number in range(server.PENDING_LIMIT + 500):
        protocol, nbma = IPv4Address(0x0A010000 + number), IPv4Address(0xAC100000 + number)
        data = encode(request(protocol, nbma, destination_protocol=WIDE.ip))
        asked += len(at_hub.receive(TUNNEL, data, nbma, 1.0))
    assert asked == server.PENDING_LIMIT
    (cache,) = at_hub.domains.values()
    assert len(cache) == 0

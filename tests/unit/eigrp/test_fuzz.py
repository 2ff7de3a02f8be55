"""Short campaigns of the fuzzer against EIGRP and CDP, and that it finds what is planted."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from dmvpn_lab.eigrp import packet as eigrp
from dmvpn_lab.errors import DecodeError
from tests.fuzz import __main__ as campaign
from tests.fuzz import routing, targets
from tests.fuzz.__main__ import mutate

RUNS = 4000


@pytest.mark.parametrize("target", targets.ROUTING)
def test_thousands_of_mutated_packets_raise_nothing_and_leave_nothing(target: str) -> None:
    assert mutate(target, RUNS, seed=7) == 0


@pytest.mark.long
@pytest.mark.parametrize("target", targets.ROUTING)
def test_a_million_mutated_packets_raise_nothing_and_leave_nothing(target: str) -> None:
    argv = [sys.executable, "-m", "tests.fuzz", target, "--runs", "1000000"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_the_command_line_knows_every_target() -> None:
    assert set(campaign.TARGETS) == {*targets.TARGETS, *targets.ROUTING}


def test_mutations_reach_every_kind_of_packet() -> None:
    rng, kinds = random.Random(1), set()
    for _ in range(2000):
        data = targets.mutated(rng.choice(routing.EIGRP_SEEDS), rng, routing.eigrp_repaired)
        try:
            kinds.add(eigrp.decode(data).kind)
        except DecodeError:
            continue
    assert kinds >= {"hello", "ack", "update", "query", "reply", "sia-query", "sia-reply"}


def test_an_error_of_another_kind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(data: bytes) -> eigrp.Packet:
        found = real(data)
        return found if found.vrid == 0 else {0: found}[found.vrid]

    real = eigrp.decode
    monkeypatch.setattr("tests.fuzz.routing.eigrp.decode", careless)
    with pytest.raises(KeyError):
        mutate("eigrp-decode", 50_000, seed=1)

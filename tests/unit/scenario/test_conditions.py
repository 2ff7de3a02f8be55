"""One look at each kind of condition, and the deadlines that follow from the clouds' timers."""

from __future__ import annotations

import asyncio
import time

import pytest

from dmvpn_lab.errors import UsageError
from dmvpn_lab.scenario import conditions, deadlines, model
from dmvpn_lab.scenario.conditions import Scene, Seen, fits
from dmvpn_lab.scenario.model import Condition
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.scenario.fake import FakeLab
from tests.unit.spec.labs import bundled

ENTRY = {"protocol": "10.0.0.11", "nbma": "172.16.1.1", "flags": ["multicast", "registered"],
         "holding_time_s": 3600, "expires_in_s": None}  # fmt: skip
TRACE = ("traceroute", "-n", "-q", "1", "-w", "2", "-m", "8", "192.168.2.2")


def look(lab: FakeLab, condition: Condition, since: float = 0.0) -> Seen:
    return asyncio.run(conditions.look(condition, Scene(lab.running, lab.watch, since)))


@pytest.mark.parametrize(
    ("wanted", "there", "so"),
    [
        ("172.16.1.1", "172.16.1.1", True), (3600, 3600, True), ("3600", 3600, True), (3600, 360, False),
        ("registered", ["multicast", "registered"], True), ("unique", ["multicast"], False),
        (["multicast", "registered"], ["multicast", "registered", "x"], True),
        (["multicast", "unique"], ["multicast", "registered"], False),
        (None, None, True), (None, "172.16.1.1", False), ("none", None, False),
        (True, True, True), (True, "True", False), (False, None, False),
    ],
)  # fmt: skip
def test_values_of_a_file_are_compared_with_those_of_an_agent(
    wanted: object, there: object, so: bool
) -> None:
    assert fits(wanted, there) is so


def test_an_entry_has_all_the_values_or_the_table_is_told(lab: FakeLab) -> None:
    lab.tables["hub", "nhrp"] = [ENTRY]
    has = {"protocol": "10.0.0.11", "flags": "registered", "expires_in_s": None}
    assert look(lab, model.EntryExists(entry="nhrp", node="hub", has=has)).so
    seen = look(lab, model.EntryExists(entry="nhrp", node="hub", has={"nbma": "172.16.1.2"}))
    assert seen == Seen(False, "172.16.1.1")
    lab.tables["hub", "nhrp"] = []
    assert look(lab, model.EntryExists(entry="nhrp", node="hub", has=has)).words == "an empty table"
    lab.tables["hub", "eigrp-neighbors"] = None
    seen = look(lab, model.EntryExists(entry="eigrp-neighbors", node="hub", has={"up": True}))
    assert seen == Seen(False, "it does not run that protocol")


def test_a_path_is_the_hops_of_a_traceroute(lab: FakeLab) -> None:
    lab.exits["host-1", *TRACE] = (0, "traceroute to x\n 1  192.168.1.1  1 ms\n 2  10.0.0.12  1 ms\n")
    direct = model.PathTaken(path="host-2", from_="host-1", hops=("192.168.1.1", "10.0.0.12"))
    assert look(lab, direct) == Seen(True, "192.168.1.1 > 10.0.0.12")
    by_hub = model.PathTaken(path="host-2", from_="host-1", hops=("192.168.1.1", "10.0.0.1", "10.0.0.12"))
    assert not look(lab, by_hub).so


def test_a_command_must_succeed_and_say_the_text(lab: FakeLab) -> None:
    condition = model.CommandSays(command=("ip", "route"), node="hub", says="via 10.0.0.12")
    lab.exits["hub", "ip", "route"] = (0, "192.168.2.0/24 via 10.0.0.12 dev tunnel0\n")
    assert look(lab, condition).so
    lab.exits["hub", "ip", "route"] = (2, "192.168.2.0/24 via 10.0.0.12 dev tunnel0\n")
    assert not look(lab, condition).so
    lab.exits["hub", "ip", "route"] = (0, "")
    assert look(lab, condition) == Seen(False, "nothing; exit code 0")


def test_of_what_a_command_says_the_line_that_counts_is_told(lab: FakeLab) -> None:
    condition = model.CommandSays(command=("ip", "link"), node="hub", says="remote 172.16.1.1")
    lab.exits["hub", "ip", "link"] = (
        0,
        "5: gre1@NONE: <UP>\n    link/gre\n    gre remote 172.16.1.1 ttl inherit\n",
    )
    assert look(lab, condition) == Seen(True, "gre remote 172.16.1.1 ttl inherit")
    lab.exits["hub", "ip", "link"] = (0, "5: gre1@NONE: <UP>\n    link/gre\n")
    assert look(lab, condition) == Seen(False, "5: gre1@NONE: <UP> /     link/gre")


def test_a_check_is_looked_at_once_and_does_not_wait(lab: FakeLab) -> None:
    lab.tables["hub", "nhrp"] = [ENTRY, {**ENTRY, "protocol": "10.0.0.12", "interface": "tunnel0"}]
    for entry in lab.tables["hub", "nhrp"]:
        entry["interface"] = "tunnel0"
    began = time.monotonic()
    seen = look(lab, model.CheckPasses(check="registration"))
    assert seen.so, seen
    assert seen.words == "2 of 2 as they must be"
    lab.tables["hub", "nhrp"] = lab.tables["hub", "nhrp"][:1]
    seen = look(lab, model.CheckPasses(check="registration"))
    assert not seen.so
    assert seen.words.startswith("spoke-b: no entry; not 10.0.0.12")
    assert look(lab, model.CheckPasses(check="registration", node="spoke-a")).so
    assert not look(lab, model.CheckPasses(check="registration", node="hub")).so  # it says nothing of it
    assert time.monotonic() - began < 10  # its own deadline is 30 s for each


def test_a_host_has_its_address_and_other_words_are_refused() -> None:
    plan = bundled("hub-and-spoke")
    assert conditions.address(plan, "host-2") == "192.168.2.2"
    assert conditions.address(plan, "10.0.0.1") == "10.0.0.1"
    with pytest.raises(UsageError, match="'hub' is no address and no host"):
        conditions.address(plan, "hub")


def derived(plan: Plan, event: str, leases: bool = False, **facts: object) -> float:
    return deadlines.derived_s(plan, model.EventHappened(event=event, facts=facts), leases=leases)


def test_deadlines_follow_from_the_protocols_timers() -> None:
    deck, ipsec = bundled("hub-and-spoke"), bundled("ipsec")
    assert derived(deck, "peer-registered") == 20
    assert derived(deck, "peer-registered", leases=True) == 65  # a lease first
    assert derived(ipsec, "peer-registered") == 80  # an SA first
    assert derived(deck, "peer-expired") == 3620  # the holding time
    assert derived(deck, "registration-sent", trigger="timer") == 1220  # a third of it
    adjacency = deadlines.derived_s(deck, model.CheckPasses(check="adjacency"), leases=False)
    assert adjacency == derived(deck, "eigrp-neighbour-up") > 20 + 15  # the hold time and more
    assert deadlines.derived_s(deck, model.CheckPasses(check="registration"), leases=False) == 30
    assert deadlines.derived_s(ipsec, model.CheckPasses(check="encryption"), leases=False) == 90

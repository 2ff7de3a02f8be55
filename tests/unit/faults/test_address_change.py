"""An address change: which addresses it chooses, what it refuses, what it does, and the way back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from dmvpn_lab.backends import state
from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.faults import base
from dmvpn_lab.faults.address_change import Wish, inject, new_lines, undo
from dmvpn_lab.faults.base import Line
from dmvpn_lab.running import RunningLab
from tests.unit.backends.recorder import OK, Recorder
from tests.unit.spec.labs import plan


def line(router: str, customer: str, gateway: str) -> Line:
    return Line(router, IPv4Interface(customer), IPv4Interface(gateway))


def now(lab: RunningLab, router: str, customer: str, gateway: str) -> None:
    """An earlier fault has given it this."""
    base.remember_lines(lab, (line(router, customer, gateway),))


def chosen(
    lab: RunningLab, node: str = "spoke-a", address: str | None = None, *, subnet: bool = False
) -> str:
    wanted = None if address is None else IPv4Interface(address)
    (after,) = new_lines(lab, Wish(node, wanted, subnet))
    assert after.router == node
    return f"{after.customer} via {after.gateway.ip}"


def test_the_next_free_address_is_the_default(deck: RunningLab) -> None:
    assert chosen(deck) == "172.16.1.2/24 via 172.16.1.254"


def test_a_second_change_goes_on_from_the_first(deck: RunningLab) -> None:
    now(deck, "spoke-a", "172.16.1.2/24", "172.16.1.254/24")
    assert chosen(deck) == "172.16.1.3/24 via 172.16.1.254"


def test_the_gateway_is_not_given_away(deck: RunningLab) -> None:
    now(deck, "spoke-a", "172.16.1.9/24", "172.16.1.10/24")
    assert chosen(deck) == "172.16.1.11/24 via 172.16.1.10"


def test_after_the_last_address_comes_the_first(deck: RunningLab) -> None:
    now(deck, "spoke-a", "172.16.1.253/24", "172.16.1.254/24")
    assert chosen(deck) == "172.16.1.1/24 via 172.16.1.254"


def test_a_full_subnet_is_told(deck: RunningLab) -> None:
    now(deck, "spoke-a", "172.16.1.1/30", "172.16.1.2/30")
    with pytest.raises(UsageError, match=r"no other address is free in 172\.16\.1\.0/30") as caught:
        chosen(deck)
    assert "--subnet" in (caught.value.hint or "")


def test_the_next_address_of_a_huge_subnet_is_found_at_once(deck: RunningLab) -> None:
    now(deck, "spoke-a", "11.200.0.1/8", "11.255.255.254/8")
    assert chosen(deck) == "11.200.0.2/8 via 11.255.255.254"


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("172.16.1.77/24", "172.16.1.77/24 via 172.16.1.254"),
        ("172.16.1.254/24", "172.16.1.254/24 via 172.16.1.253"),
        ("100.64.3.1/29", "100.64.3.1/29 via 100.64.3.6"),
        ("172.16.1.2/30", "172.16.1.2/30 via 172.16.1.1"),
    ],
)
def test_a_named_address_is_taken_with_a_gateway_that_fits(
    deck: RunningLab, address: str, result: str
) -> None:
    assert chosen(deck, address=address) == result


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("172.16.1.0/24", "no host address"),
        ("172.16.1.255/24", "no host address"),
        ("172.16.1.7/31", "no host address"),
        ("172.16.1.7/32", "no host address"),
        ("224.0.0.9/24", "no host address"),
        ("127.0.0.1/8", "no host address"),
        ("240.0.0.1/24", "no host address"),
        ("0.0.0.9/24", "no host address"),
        ("172.16.1.1/24", "has 172.16.1.1 already"),
        ("172.16.2.9/24", "172.16.2.0/24 is spoke-b's subnet"),
        ("172.16.0.9/16", "172.16.0.0/16 is spoke-b's subnet"),
        ("172.17.0.9/24", "172.17.0.0/24 is hub's subnet"),
        ("192.168.1.9/24", "overlaps a LAN or a tunnel subnet"),
        ("10.0.0.99/24", "overlaps a LAN or a tunnel subnet"),
    ],
)
def test_a_named_address_that_cannot_be_is_refused(deck: RunningLab, address: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        chosen(deck, address=address)
    assert caught.value.hint


def test_a_different_subnet_is_the_next_that_is_nobodys(deck: RunningLab) -> None:
    assert chosen(deck, subnet=True) == "172.16.3.1/24 via 172.16.3.254"
    assert chosen(deck, "spoke-b", subnet=True) == "172.16.3.1/24 via 172.16.3.254"


def test_a_different_subnet_is_not_the_one_that_another_will_return_to(deck: RunningLab) -> None:
    now(deck, "spoke-b", "172.16.9.1/24", "172.16.9.254/24")
    assert chosen(deck, subnet=True) == "172.16.3.1/24 via 172.16.3.254"


def test_a_different_subnet_keeps_clear_of_lans_and_tunnels(deck: RunningLab) -> None:
    now(deck, "spoke-a", "192.167.255.5/24", "192.167.255.254/24")
    assert chosen(deck, subnet=True) == "192.168.3.5/24 via 192.168.3.254"
    now(deck, "spoke-a", "9.255.255.5/24", "9.255.255.254/24")
    assert chosen(deck, subnet=True) == "10.0.1.5/24 via 10.0.1.254"


def test_a_different_subnet_is_never_multicast(deck: RunningLab) -> None:
    now(deck, "spoke-a", "223.255.255.1/24", "223.255.255.254/24")
    with pytest.raises(UsageError, match="no free subnet is left"):
        chosen(deck, subnet=True)


def test_after_the_last_subnet_of_all_comes_the_first(deck: RunningLab) -> None:
    now(deck, "spoke-a", "223.0.0.1/8", "223.255.255.254/8")
    assert chosen(deck, subnet=True) == "1.0.0.1/8 via 1.255.255.254"


def test_swapped_spokes_get_each_others_address_and_gateway(deck: RunningLab) -> None:
    assert new_lines(deck, Wish("spoke-a", swap="spoke-b")) == (
        line("spoke-a", "172.16.2.1/24", "172.16.2.254/24"),
        line("spoke-b", "172.16.1.1/24", "172.16.1.254/24"),
    )


def test_a_swap_is_of_what_they_have_now(deck: RunningLab) -> None:
    now(deck, "spoke-b", "172.16.2.7/24", "172.16.2.254/24")
    a, b = new_lines(deck, Wish("spoke-a", swap="spoke-b"))
    assert (str(a.customer), str(b.customer)) == ("172.16.2.7/24", "172.16.1.1/24")


@pytest.mark.parametrize(
    ("wish", "reason", "hint"),
    [
        (Wish("spoke-z"), "no node 'spoke-z'", "spoke-a"),
        (Wish("host-1"), "host-1 is no router", "hub, spoke-a, spoke-b"),
        (Wish("isp"), "isp is no router", "hub, spoke-a, spoke-b"),
        (Wish("hub"), "hub's NBMA address is no lease", "spoke-a, spoke-b"),
        (Wish("spoke-a", swap="hub"), "hub's NBMA address is no lease", "spoke-a, spoke-b"),
        (Wish("spoke-a", swap="nobody"), "no node 'nobody'", "spoke-a"),
        (Wish("spoke-a", swap="spoke-a"), "cannot swap addresses with itself", "another"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(deck: RunningLab, wish: Wish, reason: str, hint: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        new_lines(deck, wish)
    assert hint in (caught.value.hint or "")


def test_without_any_lease_the_refusal_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LABS", tmp_path)
    text = "lab: static\nclouds: {c: {subnet: 10.0.0.0/24}}\n"
    text += "nodes:\n  hub: {nbma: 172.17.0.1/24, clouds: {c: {role: hub}}}\n"
    with pytest.raises(UsageError) as caught:
        new_lines(RunningLab(plan(text), Recorder()), Wish("hub"))
    assert caught.value.hint == "routers with a lease: none"


def test_a_change_is_carrier_down_new_server_carrier_up(deck: RunningLab, recorder: Recorder) -> None:
    pid_file = "/run/dmvpn-lab/dhcp-eth2.pid"
    recorder.answer = lambda node, argv: (
        ExecResult(tuple(argv), 0, "77\n", "") if tuple(argv) == ("cat", pid_file) else OK
    )
    injected, after = asyncio.run(inject(deck, Wish("spoke-a")))
    assert after == (line("spoke-a", "172.16.1.2/24", "172.16.1.254/24"),)
    assert injected.what == "spoke-a 172.16.1.1/24 -> 172.16.1.2/24"
    conf = "/etc/dmvpn-lab/dhcp-eth2.conf"
    assert recorder.done == [
        ("isp", "ip", "link", "set", "eth2", "down"),
        ("isp", "cat", pid_file),
        ("isp", "kill", "77"),
        ("isp", "rm", "-f", pid_file),
        ("isp", "ip", "address", "flush", "dev", "eth2"),
        ("isp", "ip", "address", "add", "172.16.1.254/24", "dev", "eth2"),
        ("isp", "put", conf),
        ("isp", "dnsmasq", f"--conf-file={conf}"),
        ("isp", "ip", "link", "set", "eth2", "up"),
    ]
    mac = deck.plan.node("spoke-a").nbma_interface().mac
    assert f"dhcp-host={mac},172.16.1.2" in recorder.files["isp", conf]


def test_both_lines_of_a_swap_are_down_before_either_gets_the_others_address(
    deck: RunningLab, recorder: Recorder
) -> None:
    asyncio.run(inject(deck, Wish("spoke-a", swap="spoke-b")))
    commands = [" ".join(each[1:]) for each in recorder.done]
    downs = [i for i, c in enumerate(commands) if c.endswith("down")]
    ups = [i for i, c in enumerate(commands) if c.endswith(" up")]
    added = [i for i, c in enumerate(commands) if "address add" in c]
    assert (len(downs), len(ups), len(added)) == (2, 2, 2)
    assert max(downs) < min(added) < max(added) < min(ups)


def test_a_fault_is_remembered_before_it_is_done(deck: RunningLab, recorder: Recorder) -> None:
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 1, "", "no such interface")
    with pytest.raises(LabError, match="no such interface"):
        asyncio.run(inject(deck, Wish("spoke-a")))
    assert [fault.node for fault in base.in_force(deck)] == ["spoke-a"]


def test_undo_gives_back_what_there_was_and_forgets_the_fault(deck: RunningLab) -> None:
    before = base.lines(deck)
    injected, _ = asyncio.run(inject(deck, Wish("spoke-a", swap="spoke-b")))
    assert base.lines(deck) != before
    (known,) = base.in_force(deck)  # as another process reads it
    assert known.number == injected.number == 1
    asyncio.run(undo(deck, known))
    assert base.lines(deck) == before
    assert base.in_force(deck) == []


def test_faults_are_numbered_and_a_number_is_not_used_again(deck: RunningLab) -> None:
    for wish in (Wish("spoke-a"), Wish("spoke-b"), Wish("spoke-a", subnet=True)):
        asyncio.run(inject(deck, wish))
    base.forget(deck, 2)
    asyncio.run(inject(deck, Wish("spoke-b")))
    assert [fault.number for fault in base.in_force(deck)] == [1, 3, 4]


def test_undo_refuses_a_subnet_that_is_anothers_now(deck: RunningLab, recorder: Recorder) -> None:
    first, _ = asyncio.run(inject(deck, Wish("spoke-a", subnet=True)))
    asyncio.run(inject(deck, Wish("spoke-b", IPv4Interface("172.16.1.9/24"))))
    recorder.done.clear()
    with pytest.raises(UsageError, match=r"172\.16\.1\.0/24 is spoke-b's subnet now"):
        asyncio.run(undo(deck, first))
    assert recorder.done == []
    assert len(base.in_force(deck)) == 2


def test_the_lines_are_the_plans_until_a_fault_changes_them(deck: RunningLab) -> None:
    planned = base.lines(deck)
    assert planned["spoke-a"] == line("spoke-a", "172.16.1.1/24", "172.16.1.254/24")
    now(deck, "spoke-a", "172.16.1.9/24", "172.16.1.254/24")
    assert base.lines(deck) == planned | {"spoke-a": line("spoke-a", "172.16.1.9/24", "172.16.1.254/24")}


def test_what_a_line_is_now_stands_in_its_servers_configuration(deck: RunningLab) -> None:
    changed = line("spoke-a", "172.16.3.1/24", "172.16.3.254/24")
    planned = next(a for a in deck.plan.access if a.router == "spoke-a")
    assert base.access_of(deck, changed) == replace(
        planned, customer=changed.customer, gateway=changed.gateway
    )


def test_no_fault_is_in_force_in_a_fresh_lab(deck: RunningLab) -> None:
    assert base.in_force(deck) == []
    assert LabFolder(deck.plan.lab).read_json(base.FAULTS) is None


def test_every_choice_is_a_host_address_that_nobody_else_has(deck: RunningLab) -> None:
    """Two spokes changing in turns, a hundred times."""
    for turn in range(100):
        node = ("spoke-a", "spoke-b")[turn % 2]
        (after,) = new_lines(deck, Wish(node, subnet=turn % 3 == 0))
        network: IPv4Network = after.customer.network
        assert after.customer.ip not in (network.network_address, network.broadcast_address)
        assert isinstance(after.customer.ip, IPv4Address)
        assert after.gateway.ip in network
        assert after.gateway.ip != after.customer.ip
        others = [each for name, each in base.lines(deck).items() if name != node]
        assert not any(network.overlaps(each.customer.network) for each in others)
        base.remember_lines(deck, (after,))

"""Faults of a line: what they do where, what they refuse, and the way back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dmvpn_lab.backends import state
from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.faults import base, impair, link_down, nat_rebind, undo
from dmvpn_lab.faults.impair import Impairment
from dmvpn_lab.running import RunningLab
from tests.unit.backends.recorder import OK, Recorder
from tests.unit.spec.labs import bundled


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> RunningLab:
    """The lab with NAT routers."""
    monkeypatch.setattr(state, "LABS", tmp_path / "labs")
    LabFolder("nat").create()
    return RunningLab(bundled("nat"), recorder)


def test_a_line_is_cut_at_its_far_end_and_followed_when_it_is_back(
    lab: RunningLab, recorder: Recorder
) -> None:
    fault = asyncio.run(link_down.inject(lab, "spoke-c"))
    assert recorder.done == [("isp", "ip", "link", "set", "eth2", "down")]
    (after,) = asyncio.run(undo(lab, fault))
    assert recorder.done[-1] == ("isp", "ip", "link", "set", "eth2", "up")
    assert (after.router, str(after.customer)) == ("spoke-c", "172.16.3.1/24")
    assert base.in_force(lab) == []


def test_behind_a_nat_router_the_far_end_is_the_nat_router(lab: RunningLab, recorder: Recorder) -> None:
    fault = asyncio.run(link_down.inject(lab, "spoke-a"))
    assert recorder.done == [("nat-a", "ip", "link", "set", "eth2", "down")]
    asyncio.run(undo(lab, fault))
    assert ("nat-a", "ip", "route", "replace", "0.0.0.0/0", "via", "172.16.1.254") in recorder.done


def test_a_lan_is_cut_at_its_host_and_nothing_is_followed(lab: RunningLab, recorder: Recorder) -> None:
    fault = asyncio.run(link_down.inject(lab, "spoke-a", lan=True))
    assert recorder.done == [("host-1", "ip", "link", "set", "eth1", "down")]
    assert asyncio.run(undo(lab, fault)) == ()
    assert recorder.done[-1] == ("host-1", "ip", "route", "replace", "0.0.0.0/0", "via", "192.168.1.1")


def test_what_is_down_is_not_cut_again(lab: RunningLab) -> None:
    asyncio.run(link_down.inject(lab, "spoke-a"))
    with pytest.raises(UsageError, match="down already"):
        asyncio.run(link_down.inject(lab, "spoke-a"))
    asyncio.run(link_down.inject(lab, "spoke-a", lan=True))
    assert len(base.in_force(lab)) == 2


def test_both_ends_of_a_line_are_impaired_and_both_are_mended(lab: RunningLab, recorder: Recorder) -> None:
    fault = asyncio.run(impair.inject(lab, "spoke-c", Impairment(50, 10, 1.5, 2000)))
    words = ("root", "netem", "delay", "50ms", "10ms", "loss", "1.5%", "rate", "2000kbit")
    assert recorder.done == [
        ("spoke-c", "tc", "qdisc", "replace", "dev", "eth1", *words),
        ("isp", "tc", "qdisc", "replace", "dev", "eth2", *words),
    ]
    recorder.done.clear()
    assert asyncio.run(undo(lab, fault)) == ()
    assert recorder.done == [
        ("spoke-c", "tc", "qdisc", "delete", "dev", "eth1", "root"),
        ("isp", "tc", "qdisc", "delete", "dev", "eth2", "root"),
    ]


@pytest.mark.parametrize("wish", [Impairment(), Impairment(delay_ms=5, jitter_ms=6)])
def test_nothing_and_more_jitter_than_delay_are_refused(lab: RunningLab, wish: Impairment) -> None:
    with pytest.raises(UsageError):
        asyncio.run(impair.inject(lab, "spoke-c", wish))
    assert base.in_force(lab) == []


def test_a_kernel_without_netem_is_told_and_leaves_nothing(lab: RunningLab, recorder: Recorder) -> None:
    refused = ExecResult((), 2, "", "Error: Specified qdisc kind is unknown.")
    recorder.answer = lambda node, argv: refused if "replace" in argv else OK
    with pytest.raises(LabError, match="unknown"):
        asyncio.run(impair.inject(lab, "spoke-c", Impairment(delay_ms=5)))
    assert base.in_force(lab) == []


def test_a_nat_router_gets_the_next_address_and_its_route_and_the_old_one_back(
    lab: RunningLab, recorder: Recorder
) -> None:
    fault = asyncio.run(nat_rebind.inject(lab, "nat-a"))
    assert recorder.done == [
        ("nat-a", "ip", "address", "delete", "172.16.1.1/24", "dev", "eth1"),
        ("nat-a", "ip", "address", "add", "172.16.1.2/24", "dev", "eth1"),
        ("nat-a", "ip", "route", "replace", "default", "via", "172.16.1.254"),
    ]
    assert str(base.lines(lab)["nat-a"].customer) == "172.16.1.2/24"
    assert asyncio.run(undo(lab, fault)) == ()
    assert str(base.lines(lab)["nat-a"].customer) == "172.16.1.1/24"
    assert [node.name for node in nat_rebind.behind(lab, "nat-a")] == ["spoke-a"]


def test_only_a_nat_router_can_be_rebound(lab: RunningLab) -> None:
    with pytest.raises(UsageError, match="spoke-c is no NAT router") as caught:
        asyncio.run(nat_rebind.inject(lab, "spoke-c"))
    assert caught.value.hint == "NAT routers: nat-a, nat-b"

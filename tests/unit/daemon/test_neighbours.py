"""Neighbours on their way to the kernel: order, one system call, verdicts."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, cast

import pytest

from dmvpn_lab.daemon.neighbours import NeighbourQueue
from dmvpn_lab.daemon.port import Port
from dmvpn_lab.linux.neighbour import delete_neighbour, put_neighbour
from dmvpn_lab.linux.netlink import Netlink, Request
from dmvpn_lab.nhrp.actions import InstallNeighbour, RemoveNeighbour

A, B = IPv4Address("10.0.0.11"), IPv4Address("10.0.0.12")
NBMA = IPv4Address("172.16.1.1")


@dataclass
class Kernel:
    """Answers with the errors it is given; the real one has no GRE here."""

    verdicts: list[int] = field(default_factory=list)
    calls: list[Sequence[Request]] = field(default_factory=list)

    def apply(self, requests: Sequence[Request]) -> list[int]:
        self.calls.append(list(requests))
        return [self.verdicts.pop(0) if self.verdicts else 0 for _each in requests]


@dataclass
class Tunnel:
    """What the queue needs of a port."""

    index: int = 7
    inherited: set[IPv4Address] = field(default_factory=set)


def queue(kernel: Kernel) -> NeighbourQueue:
    return NeighbourQueue(cast(Netlink, kernel))


def port(**changes: Any) -> Port:
    return cast(Port, Tunnel(**changes))


def test_all_changes_go_to_the_kernel_in_one_call_and_in_their_order() -> None:
    kernel = Kernel()
    asked, at = queue(kernel), port()
    install, remove = InstallNeighbour("tunnel0", A, NBMA, 1), RemoveNeighbour("tunnel0", B)
    asked.put(at, install)
    asked.put(at, remove)
    assert asked.flush() == [(install, None), (remove, None)]
    assert kernel.calls == [[put_neighbour(7, A, NBMA), delete_neighbour(7, B)]]
    assert asked.flush() == []


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV])
def test_removing_what_is_gone_is_a_success(number: int) -> None:
    asked = queue(Kernel([number]))
    asked.put(port(), RemoveNeighbour("tunnel0", A))
    assert [error for _change, error in asked.flush()] == [None]


def test_each_refusal_stands_beside_its_own_change_in_words() -> None:
    asked, at = queue(Kernel([0, errno.ENOBUFS, errno.EINVAL])), port()
    asked.put(at, InstallNeighbour("tunnel0", A, NBMA, 1))
    asked.put(at, InstallNeighbour("tunnel0", B, NBMA, 2))
    asked.put(at, RemoveNeighbour("tunnel0", A))
    assert [error for _change, error in asked.flush()] == [
        None,
        "No buffer space available",
        "Invalid argument",
    ]


def test_a_change_of_a_tunnel_that_is_not_there_fails_without_asking_and_the_others_keep_their_verdicts() -> (
    None
):
    kernel = Kernel([errno.ENOBUFS])
    asked = queue(kernel)
    asked.put(None, InstallNeighbour("tunnel1", A, NBMA, 1))
    asked.put(port(), InstallNeighbour("tunnel0", B, NBMA, 2))
    assert {change.interface: error for change, error in asked.flush()} == {
        "tunnel1": "the tunnel is not there",
        "tunnel0": "No buffer space available",
    }
    assert [len(call) for call in kernel.calls] == [1]


def test_an_install_that_somebody_waits_for_is_not_urgent_and_everything_else_is() -> None:
    asked = queue(Kernel())
    asked.put(port(), InstallNeighbour("tunnel0", A, NBMA, 1))
    assert not asked.urgent
    asked.put(port(), InstallNeighbour("tunnel0", A, NBMA))
    assert asked.urgent
    asked.flush()
    assert not asked.urgent
    asked.put(port(), RemoveNeighbour("tunnel0", A))
    assert asked.urgent


def test_a_neighbour_that_is_registered_again_is_inherited_no_more() -> None:
    asked, at = queue(Kernel()), port(inherited={A, B})
    asked.put(at, InstallNeighbour("tunnel0", A, NBMA, 1))
    assert at.inherited == {B}

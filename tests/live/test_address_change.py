"""A spoke's NBMA address changes as on a DSL or dial line; the lab gets over it by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.errors import LabError
from dmvpn_lab.testing import Labs, LiveLab, Recovery
from tests.live import labs

pytestmark = pytest.mark.live

STEPS = ["registered", "multicast", "adjacent", "reachable"]


def hub_has(lab: LiveLab, protocol: str) -> list[str]:
    """The NBMA addresses that the hub's kernel has for a tunnel address."""
    lines = lab.must("hub", "ip", "neigh", "show", "to", protocol, "dev", "tunnel0").splitlines()
    return [line.split()[line.split().index("lladdr") + 1] for line in lines]


def recovered(recovery: Recovery) -> None:
    """Every step came, by event."""
    assert [step.step for step in recovery.steps] == STEPS
    registered_s = recovery.after_s("registered")
    print(f"address -> registered {registered_s:.3f} s, reachable {recovery.after_s('reachable'):.3f} s")
    assert registered_s < 5  # not the next retransmission or renewal


@pytest.mark.parametrize(
    ("wish", "nbma"),
    [
        ({}, "172.16.1.2"),
        ({"address": "172.16.1.77/24"}, "172.16.1.77"),
        ({"address": "172.20.0.5/29"}, "172.20.0.5"),
        ({"subnet": True}, "172.16.3.1"),
        ({"gap_s": 2.0}, "172.16.1.2"),
    ],
    ids=["next-free", "named", "named-elsewhere", "other-subnet", "after-a-gap"],
)
def test_the_hub_follows_a_spoke_to_its_new_address_and_back(
    deck: LiveLab, wish: dict[str, Any], nbma: str
) -> None:
    recovered(deck.address_change("spoke-a", **wish))
    assert hub_has(deck, "10.0.0.11") == [nbma]
    recovered(deck.undo())
    assert hub_has(deck, "10.0.0.11") == ["172.16.1.1"]
    assert hub_has(deck, "10.0.0.12") == ["172.16.2.1"]  # the other spoke was left alone


def test_two_spokes_exchange_their_addresses(deck: LiveLab) -> None:
    steps = deck.address_change("spoke-a", swap="spoke-b").steps
    assert [(s.node, s.step) for s in steps] == [(n, s) for n in ("spoke-a", "spoke-b") for s in STEPS]
    assert (hub_has(deck, "10.0.0.11"), hub_has(deck, "10.0.0.12")) == (["172.16.2.1"], ["172.16.1.1"])
    deck.undo()
    assert (hub_has(deck, "10.0.0.11"), hub_has(deck, "10.0.0.12")) == (["172.16.1.1"], ["172.16.2.1"])


def test_the_command_prints_the_times_and_undo_takes_the_fault_off_the_list(deck: LiveLab) -> None:
    document = labs.told(deck.name, "inject", "address-change", "spoke-b")
    assert document["passed"] is True
    assert [step["step"] for step in document["steps"]] == STEPS
    listed = labs.told(deck.name, "inject", "list")
    (fault,) = listed["in_force"]
    assert (fault["fault"], fault["node"]) == ("address-change", "spoke-b")
    assert labs.told(deck.name, "inject", "undo")["passed"] is True
    assert labs.told(deck.name, "inject", "list")["in_force"] == []


def test_a_unique_registration_is_not_moved_to_another_address(dmvpn_labs: Labs, folder: Path) -> None:
    path = labs.topology(
        folder, "hub-and-spoke", "test-unique",
        ("unique: false                       # ip nhrp registration no-unique", "unique: true"),
        (
            "{protocol: eigrp, asn: 1, split-horizon: false, bandwidth: 1000}", "{protocol: none}",
        ),
    )  # fmt: skip
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        with pytest.raises(LabError, match=r"refused spoke-a: code 14"):
            lab.address_change("spoke-a")
        assert hub_has(lab, "10.0.0.11") == ["172.16.1.1"]
        (nhs,) = lab.show("spoke-a", "nhs")
        assert nhs["state"] == "refused"

"""The model of a lab's state: answers and events in, frames out."""

from __future__ import annotations

from typing import Any

import pytest

from dmvpn_lab.watch.frame import Tunnel
from dmvpn_lab.watch.state import LabState
from tests.unit.spec.labs import DUAL_HUB, bundled, plan
from tests.unit.watch.answers import ANSWERS, HUB, SPOKE_A, SPOKE_B, ZERO, deck, entry, nhs, sa, status, told


def event(node: str, name: str, at_s: float = 5.0, **facts: Any) -> dict[str, Any]:
    return {"v": 1, "at": ZERO + at_s, "node": node, "event": name, "interface": "tunnel0", **facts}


def tunnel(state: LabState, spoke: str) -> Tunnel:
    (found,) = [each for each in state.frame(ZERO)["tunnels"] if each["spoke"] == spoke]
    return found


def test_a_registered_protected_and_adjacent_spoke_is_told_as_such() -> None:
    assert tunnel(deck(), "spoke-a") == {
        "cloud": "dmvpn", "spoke": "spoke-a", "hub": "hub", "nbma": SPOKE_A, "state": "registered",
        "expires_at": ZERO + 3599.5, "protected": True, "adjacent": True,
    }  # fmt: skip


def test_an_sa_that_only_one_end_has_protects_nothing_and_one_pending_end_is_no_adjacency() -> None:
    found = tunnel(deck(), "spoke-b")
    assert (found["state"], found["protected"], found["adjacent"]) == ("registered", False, False)


@pytest.mark.parametrize("word", ["registering", "waiting", "refused"])
def test_the_spokes_own_word_says_why_it_is_not_registered_though_the_hub_has_its_old_binding(
    word: str,
) -> None:
    state = deck()
    state.answered("spoke-a", "nhs", [nhs(word)], ZERO)
    assert tunnel(state, "spoke-a")["state"] == word
    assert tunnel(state, "spoke-a")["nbma"] == SPOKE_A


def test_a_spoke_that_believes_to_be_registered_is_not_without_a_binding_at_the_hub() -> None:
    state = deck()
    state.answered("hub", "nhrp", [], ZERO)
    found = tunnel(state, "spoke-a")
    assert (found["state"], found["nbma"], found["expires_at"]) == ("not registered", None, None)


def test_a_static_map_at_the_hub_is_no_registration() -> None:
    state = deck()
    state.answered("hub", "nhrp", [entry("10.0.0.11", SPOKE_A, left_s=None)], ZERO)
    assert tunnel(state, "spoke-a")["state"] == "not registered"


def test_an_agent_that_is_gone_takes_what_it_said_with_it() -> None:
    state = deck()
    state.lost("hub")
    frame = state.frame(ZERO)
    assert {node["name"]: node["agent"] for node in frame["nodes"]} == {
        "hub": "gone", "spoke-a": "up", "spoke-b": "up", "isp": "none", "host-0": "none", "host-1": "none",
        "host-2": "none",
    }  # fmt: skip
    assert tunnel(state, "spoke-a")["state"] == "agent gone"
    assert [each["node"] for each in frame["caches"]] == ["spoke-a", "spoke-b"]
    assert {each["node"] for each in frame["sas"]} == {each["node"] for each in frame["adjacencies"]} == {
        "spoke-a", "spoke-b"
    }  # fmt: skip


def test_a_renewal_moves_the_end_and_needs_no_question() -> None:
    state = deck()
    renewal = event("hub", "peer-registered", 1200.0, protocol="10.0.0.11", nbma=SPOKE_A,
                    previous_nbma=SPOKE_A, holding_time_s=3600, unique=False)  # fmt: skip
    assert state.heard(renewal) == ()
    assert tunnel(state, "spoke-a")["expires_at"] == ZERO + 1200 + 3600
    assert tunnel(state, "spoke-b")["expires_at"] == ZERO + 20


def test_a_registration_from_a_new_address_and_one_of_a_stranger_are_asked_about() -> None:
    state = deck()
    facts = {"holding_time_s": 3600, "unique": False}
    moved = event("hub", "peer-registered", protocol="10.0.0.11", nbma="172.16.1.2", previous_nbma=SPOKE_A)
    strange = event("hub", "peer-registered", protocol="10.0.0.13", nbma=SPOKE_A, previous_nbma=SPOKE_A)
    assert state.heard(moved | facts) == state.heard(strange | facts) == ("nhrp",)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("nbma-changed", ("status", "nhs")),
        ("tunnel-down", ("status", "nhs")),
        ("registered", ("nhs",)),
        ("registration-sent", ()),
        ("registration-timeout", ("nhs",)),
        ("peer-expired", ("nhrp",)),
        ("shortcut-added", ("nhrp",)),
        ("ipsec-up", ("ipsec", "nhs")),
        ("eigrp-neighbour-down", ("eigrp-neighbors",)),
        ("odr-neighbour-up", ()),
        ("multicast-changed", ()),
    ],
)
def test_an_event_says_what_to_ask_again_and_nothing_that_the_router_does_not_run(
    name: str, asked: tuple[str, ...]
) -> None:
    assert deck().heard(event("spoke-a", name)) == asked


@pytest.mark.parametrize(
    ("lab", "asked"),
    [
        ("hub-and-spoke", ("status", "nhs", "nhrp", "eigrp-neighbors")),
        ("ipsec", ("status", "nhs", "nhrp", "ipsec", "eigrp-neighbors")),
        ("hub-and-spoke-odr", ("status", "nhs", "nhrp", "odr")),
        ("hub-and-spoke-bgp", ("status", "nhs", "nhrp", "routing:bgp")),
    ],
)
def test_a_router_is_asked_for_what_it_runs(lab: str, asked: tuple[str, ...]) -> None:
    assert LabState(bundled(lab)).questions("hub") == asked


def test_nothing_is_said_of_an_sa_or_an_adjacency_where_there_is_none_to_have() -> None:
    state = LabState(plan(DUAL_HUB.replace("unique: false", "unique: false, routing: {protocol: none}")))
    for each in state.frame(ZERO)["tunnels"]:
        assert (each["protected"], each["adjacent"], each["state"]) == (None, None, "agent gone")


def test_a_spoke_has_a_tunnel_to_each_hub_and_each_hubs_cache_decides_for_its_own() -> None:
    state = LabState(plan(DUAL_HUB))
    for spoke, address in (("spoke-a", "10.0.0.3"), ("spoke-b", "10.0.0.4")):
        state.answered(spoke, "status", status(f"{address}/24", None), ZERO)
        state.answered(spoke, "nhs", [nhs("registered"), nhs("registering", "10.0.0.2")], ZERO)
    address = str(state.plan.node("spoke-a").tunnels[0].address.ip)
    state.answered("hub-1", "nhrp", [entry(address, SPOKE_A, "registered")], ZERO)
    state.answered("hub-2", "nhrp", [], ZERO)
    found = {(t["spoke"], t["hub"]): t["state"] for t in state.frame(ZERO)["tunnels"]}
    assert found == {
        ("spoke-a", "hub-1"): "registered",
        ("spoke-a", "hub-2"): "registering",
        ("spoke-b", "hub-1"): "not registered",
        ("spoke-b", "hub-2"): "registering",
    }


def phase_3(*more: dict[str, Any]) -> LabState:
    state = told(LabState(bundled("ipsec-phase-3")), ANSWERS)
    state.answered("spoke-a", "nhrp", [ANSWERS["spoke-a"]["nhrp"][0], *more], ZERO)
    return state


RESOLVED = entry("10.0.0.12", SPOKE_B, "resolved", left_s=100.0)
PREFIX = entry("192.168.2.0", SPOKE_B, "shortcut", left_s=100.0, via="10.0.0.12", prefix_length=24)


def test_a_resolved_spoke_with_a_prefix_behind_it_is_one_shortcut_and_is_over_with_its_entries() -> None:
    assert phase_3(RESOLVED, PREFIX).frame(ZERO)["shortcuts"] == [
        {"cloud": "dmvpn", "source": "spoke-a", "target": "spoke-b", "prefixes": ["192.168.2.0/24"],
         "expires_at": ZERO + 100, "protected": False}
    ]  # fmt: skip
    assert phase_3().frame(ZERO)["shortcuts"] == []


def test_a_shortcut_is_protected_once_both_spokes_have_its_sa() -> None:
    state = phase_3(RESOLVED)
    ours, theirs = sa(SPOKE_A, SPOKE_B, "000000c1", "000000c2"), sa(SPOKE_B, SPOKE_A, "000000c2", "000000c1")
    state.answered("spoke-a", "ipsec", [ours], ZERO)
    assert state.frame(ZERO)["shortcuts"][0]["protected"] is False
    state.answered("spoke-b", "ipsec", [theirs], ZERO)
    assert state.frame(ZERO)["shortcuts"][0]["protected"] is True


def test_a_hub_that_resolved_nothing_new_is_no_shortcut() -> None:
    state = phase_3()
    state.answered("spoke-a", "nhrp", [entry("10.0.0.1", HUB, "resolved")], ZERO)
    assert state.frame(ZERO)["shortcuts"] == []


def test_names_are_told_beside_addresses_also_behind_a_nat() -> None:
    state = deck()
    assert [(e["node"], e["protocol"], e["peer"]) for e in state.frame(ZERO)["caches"]] == [
        ("hub", "10.0.0.11/32", "spoke-a"), ("hub", "10.0.0.12/32", "spoke-b"),
        ("spoke-a", "10.0.0.1/32", "hub"), ("spoke-b", "10.0.0.1/32", "hub"),
    ]  # fmt: skip
    state.answered("spoke-a", "status", status("10.0.0.11/24", "10.1.1.1", SPOKE_A), ZERO)
    assert [each["peer"] for each in state.frame(ZERO)["sas"]] == ["spoke-a", "spoke-b", "hub", "hub"]


def test_a_frame_has_every_node_in_its_place_and_every_cable() -> None:
    frame = deck().frame(ZERO)
    assert len({node["place"] for node in frame["nodes"]}) == len(frame["nodes"]) == 7
    assert {(link["a"], link["b"]) for link in frame["links"]} >= {("hub", "isp"), ("spoke-a", "host-1")}
    (spoke,) = [node for node in frame["nodes"] if node["name"] == "spoke-a"]
    assert spoke["tunnels"] == [
        {"interface": "tunnel0", "cloud": "dmvpn", "role": "spoke", "addresses": ["10.0.0.11/24"],
         "nbma": SPOKE_A, "outside": None, "up": True}
    ]  # fmt: skip

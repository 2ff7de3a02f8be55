"""A part of a plan: what `up --node-filter` starts."""

from __future__ import annotations

import json

import pytest

from dmvpn_lab.checks.ways import pairs_of
from dmvpn_lab.errors import UsageError
from dmvpn_lab.render.files import files
from dmvpn_lab.spec.part import part
from tests.unit.spec.labs import bundled

DECK = bundled("hub-and-spoke")


def names(routers: list[str]) -> list[str]:
    return [node.name for node in part(DECK, routers).nodes]


def test_a_router_comes_with_its_host_and_the_isp_router() -> None:
    assert names(["hub", "spoke-b"]) == ["hub", "spoke-b", "isp", "host-0", "host-2"]
    assert part(DECK, ["hub", "spoke-b"]).left_out == ("spoke-a", "host-1")


def test_links_to_what_is_left_out_are_left_out_at_both_ends() -> None:
    chosen = part(DECK, ["hub", "spoke-b"])
    ends = {end.node for link in chosen.links for end in (link.a, link.b)}
    assert ends == {node.name for node in chosen.nodes}
    assert [each.name for each in chosen.node("isp").interfaces] == ["eth1", "eth3"]
    assert [line.router for line in chosen.access] == ["hub", "spoke-b"]
    for node in chosen.nodes:  # no node waits for a cable that does not come
        told = json.loads(files(chosen)[node.name]["/etc/dmvpn-lab/node.json"])
        wired = {end.interface for link in chosen.links for end in (link.a, link.b) if end.node == node.name}
        assert {each["name"] for each in told["interfaces"]} == wired


def test_those_that_are_there_are_configured_as_in_the_whole() -> None:
    whole, chosen = files(DECK), files(part(DECK, ["spoke-a", "hub"]))
    for node in ("hub", "spoke-a", "host-0", "host-1"):
        assert chosen[node] == whole[node]


def test_checks_are_of_those_that_are_there() -> None:
    chosen = part(DECK, ["hub", "spoke-a"])
    assert [node.name for node, _ in chosen.members("dmvpn", "spoke")] == ["spoke-a"]
    pairs = [(a[0].name, b[0].name) for a, b in pairs_of(chosen, chosen.cloud("dmvpn"))]
    assert pairs == [("spoke-a", "hub"), ("hub", "spoke-a")]


def test_without_a_hub_no_spoke_reaches_another() -> None:
    chosen = part(DECK, ["spoke-a", "spoke-b"])
    assert pairs_of(chosen, chosen.cloud("dmvpn")) == []


def test_a_part_is_another_lab_than_the_whole_and_the_same_whatever_the_order() -> None:
    digests = {part(DECK, each).digest for each in (["hub", "spoke-a"], ["spoke-a", "hub"])}
    assert len(digests) == 1
    assert DECK.digest not in digests


@pytest.mark.parametrize("wrong", ["host-1", "isp", "spoke-c"])
def test_what_is_no_router_is_told_with_those_that_are(wrong: str) -> None:
    with pytest.raises(UsageError, match=f"'{wrong}' is no router") as error:
        part(DECK, ["hub", wrong])
    assert error.value.hint is not None
    assert "hub, spoke-a, spoke-b" in error.value.hint


def test_a_router_behind_nat_comes_with_its_nat_router() -> None:
    chosen = part(bundled("nat"), ["hub", "spoke-a"])
    assert [node.name for node in chosen.nodes] == ["hub", "spoke-a", "isp", "nat-a", "host-0", "host-1"]
    assert {line.router for line in chosen.access} == {"hub", "spoke-a", "nat-a"}

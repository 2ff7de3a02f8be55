"""The picture's rows: who said what to whom, encrypted or not; and the picture itself."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any
from xml.etree import ElementTree

from dmvpn_lab.backends.routes import Change
from dmvpn_lab.running import RouteChange
from dmvpn_lab.scenario import picture
from dmvpn_lab.scenario.lanes import Lanes, Row
from dmvpn_lab.scenario.timeline import Security, StepResult, Timeline
from tests.unit.spec.labs import DUAL_HUB, bundled, plan

ZERO = 1764000000.0
IPSEC = bundled("ipsec")


def event(at_s: float, node: str, name: str, **facts: Any) -> dict[str, Any]:
    return {"v": 1, "at": ZERO + at_s, "node": node, "event": name, "interface": "tunnel0", **facts}


def change(destination: str, *via: str, table: int = 254, gone: bool = False) -> Change:
    """A route of a node's kernel."""
    return Change(ip_network(destination), tuple(ip_address(each) for each in via), table, gone)


def rows(*events: dict[str, Any], **rest: Any) -> list[Row]:
    return Lanes(IPSEC, Timeline("x", "X", "ipsec", ZERO, events=list(events), **rest)).rows()


SENT = event(1.1, "spoke-a", "registration-sent", nhs="10.0.0.1", nbma="172.17.0.1", trigger="ipsec-up")
REPLY = event(1.3, "spoke-a", "registered", nhs="10.0.0.1", nbma="172.17.0.1", request_id=1)
UP = event(1.0, "spoke-a", "ipsec-up", nbma="172.17.0.1", local="172.16.1.1")
UP_AT_HUB = event(1.01, "hub", "ipsec-up", nbma="172.16.1.1", local="172.17.0.1")
DOWN = event(2.0, "spoke-a", "ipsec-down", nbma="172.17.0.1", local="172.16.1.1")


def test_the_order_of_the_decks_last_slide_is_drawn_between_spoke_and_hub() -> None:
    up = event(1.5, "spoke-a", "eigrp-neighbour-up", neighbour="10.0.0.1")
    route = RouteChange(ZERO + 1.8, "spoke-a", change("192.168.0.0/24", "10.0.0.1"))
    found = rows(UP, UP_AT_HUB, SENT, REPLY, up, routes=[route])
    assert [(r.kind, r.source, r.target, r.words) for r in found] == [
        ("ike", "spoke-a", "hub", "IKE/IPsec established"),  # told by both ends, drawn once
        ("registration", "spoke-a", "hub", "NHRP registration request (ipsec-up)"),
        ("registration", "hub", "spoke-a", "NHRP registration reply"),
        ("adjacency", "hub", "spoke-a", "adjacency up"),
        ("update", "hub", "spoke-a", "routing update: 192.168.0.0/24"),
    ]
    assert all(row.encrypted for row in found)


def test_a_neighbour_that_is_lost_is_told_in_one_lane() -> None:
    (row,) = rows(event(1, "hub", "eigrp-neighbour-down", neighbour="10.0.0.11", reason="hold time"))
    assert (row.source, row.target) == ("hub", "")
    assert row.words == "adjacency with spoke-a down: hold time"


def test_what_is_said_without_an_sa_is_in_clear() -> None:
    late = {**SENT, "at": ZERO + 2.5}
    assert [row.encrypted for row in rows(SENT)] == [False]
    assert [row.encrypted for row in rows(UP, SENT, DOWN, late)] == [True, True, False, False]


def test_sas_from_before_the_run_encrypt_until_they_are_gone() -> None:
    start = [Security("spoke-a", ("172.16.1.1",), ("172.17.0.1",)), Security("hub", ("172.17.0.1",), ())]
    assert [row.encrypted for row in rows(SENT, DOWN, {**SENT, "at": ZERO + 3}, start=start)] == [
        True, False, False,
    ]  # fmt: skip


def test_an_address_that_moves_takes_its_owner_along() -> None:
    moved = [event(0.1, "spoke-a", "nbma-changed", old="172.16.1.1", new="172.16.2.1"),
             event(0.2, "spoke-b", "nbma-changed", old="172.16.2.1", new="172.16.1.1")]  # fmt: skip
    up = event(1.0, "spoke-b", "ipsec-up", nbma="172.17.0.1", local="172.16.1.1")
    told = event(1.2, "hub", "indication-sent", nbma="172.16.2.1", source="x", destination="y")
    found = rows(*moved, up, told)
    assert found[0].words == "NBMA 172.16.1.1 -> 172.16.2.1"
    assert (found[3].source, found[3].target, found[3].encrypted) == ("hub", "spoke-a", False)


def test_routes_of_one_neighbour_at_one_time_are_one_update() -> None:
    changes = [change("192.168.0.0/24", "10.0.0.1"), change("192.168.2.0/24", "10.0.0.1"),
               change("192.168.9.0/24", "10.0.0.1", gone=True),
               change("192.168.2.0/24", "10.0.0.12", table=8193),  # a shortcut, not an update
               change("0.0.0.0/0", "172.16.1.254"), change("172.16.1.1/32", table=255)]  # fmt: skip
    routes = [RouteChange(ZERO + n / 100, "spoke-a", each) for n, each in enumerate(changes)]
    one, gone = rows(routes=routes)
    assert one.words == "routing update: 192.168.0.0/24, 192.168.2.0/24"
    assert (gone.source, gone.target, gone.words) == ("spoke-a", "", "routes gone: 192.168.9.0/24")
    late = RouteChange(ZERO + 1, "spoke-a", changes[0])
    assert len(rows(routes=[*routes, late])) == 3


def test_a_route_by_two_neighbours_is_an_update_of_each_and_the_default_is_called_so() -> None:
    default = RouteChange(ZERO, "spoke-a", change("0.0.0.0/0", "10.0.0.1", "10.0.0.12"))
    assert [(row.source, row.target, row.words) for row in rows(routes=[default])] == [
        ("hub", "spoke-a", "routing update: default"),
        ("spoke-b", "spoke-a", "routing update: default"),
    ]


def test_acts_and_proofs_stand_at_their_times() -> None:
    steps = [
        StepResult(1, "inject", "spoke-a: rekey", "passed", "done", 1.0, 1.5, 0.5, None),
        StepResult(2, "expect", "event x", "passed", "x", 1.5, 1.25, 0.25, 60.0),
        StepResult(3, "hold", "host-1 answers", "passed", "yes", 2.0, 5.0, 3.0, 3.0),
        StepResult(4, "expect", "never", "failed", "nothing", 5.0, None, None, 60.0),
        StepResult(5, "undo", "all", "not run", "", None, None, None, None),
    ]
    found = rows(steps=steps)
    assert [(round(r.at - ZERO, 3), r.kind) for r in found] == [
        (1.0, "act"), (1.25, "proof"), (5.0, "proof"), (5.0, "failure"),
    ]  # fmt: skip


def test_the_hubs_are_in_the_middle() -> None:
    assert picture.lane_order(IPSEC) == ["spoke-a", "hub", "spoke-b"]
    assert picture.lane_order(plan(DUAL_HUB)) == ["spoke-a", "hub-1", "hub-2", "spoke-b"]


def test_the_picture_is_xml_with_a_line_for_each_message_in_the_colour_of_its_protection() -> None:
    hostile = StepResult(1, "trigger", "<script>&\"'", "failed", "]]>", 0.5, None, None, None)
    timeline = Timeline("x", "<X>", "ipsec", ZERO, events=[UP, SENT, DOWN, {**SENT, "at": ZERO + 3}],
                        steps=[hostile])  # fmt: skip
    root = ElementTree.fromstring(picture.svg(IPSEC, timeline))
    texts = {e.text: e for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "✗ trigger: <script>&\"': ]]>" in texts
    assert {"spoke-a", "hub", "spoke-b", "10.0.0.11", "IKE/IPsec established"} <= set(texts)
    said = [e.get("fill") for e in root.iter("{http://www.w3.org/2000/svg}text")
            if e.text == "NHRP registration request (ipsec-up)"]  # fmt: skip
    assert said == [picture.ENCRYPTED, picture.CLEAR]
    height = float(str(root.get("height")))
    assert all(float(str(e.get("y"))) < height for e in texts.values())

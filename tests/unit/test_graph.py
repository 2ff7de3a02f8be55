"""Pictures of a lab."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any
from xml.etree import ElementTree

import pytest

from dmvpn_lab import controller, graph
from dmvpn_lab.graph import Tunnel
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.agents import knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled

TOPOLOGIES = sorted(path.stem for path in controller.bundled_topologies().glob("*.yml"))
SVG = "{http://www.w3.org/2000/svg}"
PATH = f"{SVG}path"
TUNNELS = [
    Tunnel("spoke-a", "hub", "dmvpn", "registered"),
    Tunnel("spoke-b", "hub", "dmvpn", "not registered"),
]


@pytest.fixture
def plan() -> Plan:
    return planner.read(controller.find_topology("hub-and-spoke"))


def test_a_plan_has_a_tunnel_from_each_spoke_to_its_hub(plan: Plan) -> None:
    assert [(t.spoke, t.peer, t.state) for t in graph.planned(plan)] == [
        ("spoke-a", "hub", "planned"),
        ("spoke-b", "hub", "planned"),
    ]


def test_mermaid_has_each_cable_and_tells_tunnels_that_are_not_registered(plan: Plan) -> None:
    lines = graph.mermaid(plan, TUNNELS).splitlines()
    assert lines[0] == "flowchart TB"
    assert sum(" --- " in line for line in lines) == len(plan.links)
    assert '  n_spoke_a ==>|"dmvpn: registered"| n_hub' in lines
    assert '  n_spoke_b -.->|"dmvpn: not registered"| n_hub' in lines
    styled = [line.split()[1] for line in lines if "linkStyle" in line]
    assert styled == [str(len(plan.links)), str(len(plan.links) + 1)]  # Mermaid counts links in order


def test_svg_has_each_node_within_the_picture_and_dashes_tunnels_that_are_not_registered(plan: Plan) -> None:
    root = ElementTree.fromstring(graph.svg(plan, TUNNELS))
    boxes = _boxes(root)
    assert len(boxes) == len(plan.nodes)
    left, top, width, height = (float(each) for each in root.attrib["viewBox"].split())
    for x, y, right, bottom in boxes:
        assert left < x
        assert top < y
        assert right < left + width
        assert bottom < top + height
    curves = list(root.iter(PATH))
    assert [curve.get("stroke-dasharray") is not None for curve in curves] == [False, True]
    words = {text.text for text in root.iter(f"{SVG}text")}
    assert {"hub", "172.17.0.1/24", "172.16.1.1/24 (dhcp)", "dmvpn: not registered"} <= words


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_no_node_and_no_label_hides_another(topology: str) -> None:
    plan = planner.read(controller.find_topology(topology))
    root = ElementTree.fromstring(graph.svg(plan, graph.planned(plan)))
    labels = _boxes(root, labels=True)
    assert len(labels) == len(graph.planned(plan))
    for (x1, y1, right1, bottom1), (x2, y2, right2, bottom2) in itertools.combinations(
        [*_boxes(root), *labels], 2
    ):
        assert right1 <= x2 or right2 <= x1 or bottom1 <= y2 or bottom2 <= y1


def cached(protocol: str, *flags: str, via: str = "", interface: str = "tunnel0") -> dict[str, Any]:
    return {"protocol": protocol, "via": via or protocol, "interface": interface, "flags": list(flags)}


REGISTERED = [cached("10.0.0.11", "registered"), cached("10.0.0.12", "registered")]
TO_HUB = cached("10.0.0.1", "nhs")
TO_B = cached("192.168.2.0", "shortcut", via="10.0.0.12")
TO_A = cached("10.0.0.11", "resolved")


@pytest.mark.parametrize(
    ("topology", "of_a", "of_b", "drawn"),
    [
        ("phase-3", [TO_HUB, TO_B, cached("10.0.0.12", "resolved")], [TO_HUB, TO_A],
         ["n_spoke_a <==>|\"dmvpn: direct\"| n_spoke_b"]),
        ("phase-2", [], [TO_A], ["n_spoke_b ==>|\"dmvpn: direct, only from spoke-b\"| n_spoke_a"]),
        ("phase-3", [TO_B], None, ["n_spoke_a ==>|\"dmvpn: direct, only from spoke-a\"| n_spoke_b"]),
        ("phase-3", [cached("192.168.0.0", "shortcut", via="10.0.0.1"), cached("10.0.0.11", "shortcut")],
         [{**TO_A, "interface": "tunnel1"}, {**TO_A, "flags": ["multicast"]}], []),
        ("phase-1", [TO_B], [TO_A], []),
    ],
)  # fmt: skip
def test_of_a_running_lab_each_way_between_two_spokes_is_drawn_once(
    topology: str, of_a: list[Any], of_b: list[Any] | None, drawn: list[str]
) -> None:
    recorder, plan = Recorder(), bundled(topology)
    known = {"hub": {"nhrp": REGISTERED}, "spoke-a": {"nhrp": of_a}}
    known["spoke-b"] = {} if of_b is None else {"nhrp": of_b}  # an agent that answers nothing

    async def look() -> list[Tunnel]:
        async with knowing(recorder, known):
            return await graph.observed(RunningLab(plan, recorder))

    tunnels = asyncio.run(look())
    lines = graph.mermaid(plan, tunnels).splitlines()
    assert sum("dmvpn: registered" in line for line in lines) == 2
    assert [line.strip() for line in lines if "direct" in line] == drawn
    assert sum("linkStyle" in line for line in lines) == len(tunnels)
    words = [text.text for text in ElementTree.fromstring(graph.svg(plan, tunnels)).iter(f"{SVG}text")]
    assert [word for word in words if "direct" in (word or "")] == [line.split('"')[1] for line in drawn]


def test_two_tunnels_between_the_same_routers_part() -> None:
    plan = planner.read(controller.find_topology("ipsec-shared"))
    shapes = [
        path.get("d") for path in ElementTree.fromstring(graph.svg(plan, graph.planned(plan))).iter(PATH)
    ]
    assert len(set(shapes)) == len(shapes) == len(graph.planned(plan)) == 3


def test_a_tunnel_bends_to_the_middle_whichever_way_it_is_drawn_and_the_next_away_from_it() -> None:
    left, top = (-190.0, 0.0), (0.0, -190.0)
    straight = 95.0 * 2**0.5
    for ends in ((left, top), (top, left)):
        near, far = (graph.along(graph.curve(*ends, bend), 0.5) for bend in graph.bends([ends, ends]))
        assert math.hypot(*near) < straight < math.hypot(*far)


def test_a_label_keeps_to_the_middle_of_its_tunnel_unless_something_stands_there() -> None:
    way = graph.curve((0.0, 0.0), (1000.0, 0.0), 0.0)
    ((left, _, right, _),) = graph.label_boxes([way], ["cloud: planned"], [])
    assert (left + right) / 2 == 500
    ((left, _, right, _),) = graph.label_boxes([way], ["cloud: planned"], [(490, -10, 510, 10)])
    assert right < 490 or left > 510


def _boxes(root: ElementTree.Element, *, labels: bool = False) -> list[graph.Box]:
    """Left, top, right, bottom of each node, or of each tunnel's label."""
    found = []
    for box in root.iter(f"{SVG}rect"):
        if box.get("fill-opacity") if labels else box.get("stroke"):
            x, y, width, height = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found

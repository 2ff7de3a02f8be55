"""Pictures of a lab."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest

from dmvpn_lab import controller, graph
from dmvpn_lab.graph import Tunnel
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import Plan

TOPOLOGIES = sorted(path.stem for path in controller.bundled_topologies().glob("*.yml"))
SVG = "{http://www.w3.org/2000/svg}"
TUNNELS = [
    Tunnel("spoke-a", "hub", "dmvpn", "registered"),
    Tunnel("spoke-b", "hub", "dmvpn", "not registered"),
]


@pytest.fixture
def plan() -> Plan:
    return planner.read(controller.find_topology("hub-and-spoke"))


def test_a_plan_has_a_tunnel_from_each_spoke_to_its_hub(plan: Plan) -> None:
    assert [(t.spoke, t.hub, t.state) for t in graph.planned(plan)] == [
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
    for x, y, right, bottom in boxes:
        assert x >= 0 <= y
        assert right <= graph.WIDTH
        assert bottom <= graph.HEIGHT
    curves = list(root.iter(f"{SVG}path"))
    assert [curve.get("stroke-dasharray") is not None for curve in curves] == [False, True]
    words = {text.text for text in root.iter(f"{SVG}text")}
    assert {"hub", "172.17.0.1/24", "172.16.1.1/24 (dhcp)", "dmvpn: not registered"} <= words


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_no_node_hides_another(topology: str) -> None:
    plan = planner.read(controller.find_topology(topology))
    boxes = _boxes(ElementTree.fromstring(graph.svg(plan, graph.planned(plan))))
    for (x1, y1, right1, bottom1), (x2, y2, right2, bottom2) in itertools.combinations(boxes, 2):
        assert right1 <= x2 or right2 <= x1 or bottom1 <= y2 or bottom2 <= y1


def _boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each node."""
    found = []
    for box in root.iter(f"{SVG}rect"):
        if box.get("stroke"):
            x, y, width, height = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found

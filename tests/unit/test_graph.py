"""Pictures of a lab."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from dmvpn_lab import controller, graph
from dmvpn_lab.graph import Tunnel
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import Plan

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
    boxes = [r for r in root.iter(f"{SVG}rect") if r.get("stroke")]
    assert len(boxes) == len(plan.nodes)
    for box in boxes:
        x, y, width, height = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert x >= 0 <= y
        assert x + width <= graph.WIDTH
        assert y + height <= graph.HEIGHT
    curves = list(root.iter(f"{SVG}path"))
    assert [curve.get("stroke-dasharray") is not None for curve in curves] == [False, True]
    words = {text.text for text in root.iter(f"{SVG}text")}
    assert {"hub", "172.17.0.1/24", "172.16.1.1/24 (dhcp)", "dmvpn: not registered"} <= words

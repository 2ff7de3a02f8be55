"""Pictures of a lab: tunnels over the underlay, registered or not, as Mermaid or SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import NodePlan, Plan

State = Literal["registered", "not registered", "planned"]
Point = tuple[float, float]
WIDTH, HEIGHT = 1100, 760
"""Pixels, for a ring of up to ROOM_FOR routers; more make it larger."""
ROUTER_RADIUS, HOST_RADIUS = 190, 320
"""From the ISP router in the middle."""
ROOM_FOR = 6
COLOURS: dict[State, str] = {"registered": "#1a7f37", "not registered": "#cf222e", "planned": "#6e7781"}
FILLS = {"isp": "#ddf4ff", "nat": "#ffebe9", "router": "#fff8c5", "host": "#f6f8fa"}


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A spoke's tunnel to one hub."""

    spoke: str
    hub: str
    cloud: str
    state: State


def planned(plan: Plan) -> list[Tunnel]:
    """Every tunnel of a plan."""
    return [
        Tunnel(spoke.name, hub.name, cloud.name, "planned")
        for cloud in plan.clouds
        for spoke, _ in plan.members(cloud.name, "spoke")
        for hub, _ in plan.members(cloud.name, "hub")
    ]


async def observed(lab: RunningLab) -> list[Tunnel]:
    """Every tunnel of a running lab, as the hubs' caches have it now."""
    found: list[Tunnel] = []
    for cloud in lab.plan.clouds:
        for hub, at_hub in lab.plan.members(cloud.name, "hub"):
            if hub.external is not None:  # nobody of ours to ask
                found += [t for t in planned(lab.plan) if (t.hub, t.cloud) == (hub.name, cloud.name)]
                continue
            entries = await lab.query(hub.name, "nhrp")
            there = {e["protocol"] for e in entries
                     if e["interface"] == at_hub.name and "registered" in e["flags"]}  # fmt: skip
            for spoke, tunnel in lab.plan.members(cloud.name, "spoke"):
                state: State = "registered" if str(tunnel.address.ip) in there else "not registered"
                found.append(Tunnel(spoke.name, hub.name, cloud.name, state))
    return found


def mermaid(plan: Plan, tunnels: list[Tunnel]) -> str:
    """A Mermaid flowchart: solid lines are cables, thick ones tunnels, dotted those not registered."""
    lines = ["flowchart TB"]
    shapes = {"isp": '(["{}"])', "nat": '{{{{"{}"}}}}', "router": '["{}"]', "host": '("{}")'}
    for node in plan.nodes:
        lines.append(f"  {_id(node.name)}{shapes[node.kind].format('<br/>'.join(_words(node)))}")
    for link in plan.links:
        lines.append(f"  {_id(link.a.node)} --- {_id(link.b.node)}")
    for number, tunnel in enumerate(tunnels, start=len(plan.links)):
        arrow = "-.->" if tunnel.state == "not registered" else "==>"
        lines.append(f'  {_id(tunnel.spoke)} {arrow}|"{tunnel.cloud}: {tunnel.state}"| {_id(tunnel.hub)}')
        lines.append(f"  linkStyle {number} stroke:{COLOURS[tunnel.state]}")
    return "\n".join([*lines, ""])


def svg(plan: Plan, tunnels: list[Tunnel]) -> str:
    """An SVG picture: the ISP in the middle, routers around it, hosts outside."""
    width, height = (_n(each) for each in size(len(plan.routers())))
    at = places(plan)
    root = ElementTree.Element(
        "svg", xmlns="http://www.w3.org/2000/svg", width=width, height=height, viewBox=f"0 0 {width} {height}"
    )
    ElementTree.SubElement(root, "title").text = plan.lab
    ElementTree.SubElement(root, "rect", width="100%", height="100%", fill="white")
    for link in plan.links:
        (x1, y1), (x2, y2) = at[link.a.node], at[link.b.node]
        ElementTree.SubElement(root, "line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), stroke="#8c959f")
    for tunnel in tunnels:
        _draw_tunnel(root, tunnel, at)
    for node in plan.nodes:
        _draw_node(root, node, at[node.name])
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def size(routers: int) -> Point:
    """Width and height of a picture with so many routers, in pixels."""
    return WIDTH * _scale(routers), HEIGHT * _scale(routers)


def _scale(routers: int) -> float:
    return max(1.0, routers / ROOM_FOR)


def places(plan: Plan) -> dict[str, Point]:
    """Where each node stands: the ISP in the middle, routers around it, hosts outside."""
    routers = plan.routers()
    scale, (width, height) = _scale(len(routers)), size(len(routers))
    middle = (width / 2, height / 2)
    angles = {node.name: -math.pi / 2 + 2 * math.pi * i / len(routers) for i, node in enumerate(routers)}
    found = {name: _at(middle, ROUTER_RADIUS * scale, angle) for name, angle in angles.items()}
    for link in plan.links:
        if plan.node(link.b.node).kind == "host":
            found[link.b.node] = _at(middle, HOST_RADIUS * scale, angles[link.a.node])
    if plan.isp is not None:
        found[plan.isp] = middle
    for access in plan.access:
        if access.provider != plan.isp:  # beside the (last) router behind it
            beside = angles[access.router] + math.pi / len(routers)
            found[access.provider] = _at(middle, ROUTER_RADIUS * scale, beside)
    return found


def _at(middle: Point, radius: float, angle: float) -> Point:
    return middle[0] + 1.25 * radius * math.cos(angle), middle[1] + radius * math.sin(angle)


def _draw_tunnel(root: ElementTree.Element, tunnel: Tunnel, places: dict[str, Point]) -> None:
    """A curve beside the ISP router, with a word on it."""
    (x1, y1), (x2, y2) = places[tunnel.spoke], places[tunnel.hub]
    bend_x, bend_y = (x1 + x2) / 2 + (y2 - y1) * 0.12, (y1 + y2) / 2 - (x2 - x1) * 0.12
    curve = ElementTree.SubElement(
        root, "path", d=f"M {_n(x1)} {_n(y1)} Q {_n(bend_x)} {_n(bend_y)} {_n(x2)} {_n(y2)}",
        fill="none", stroke=COLOURS[tunnel.state],
    )  # fmt: skip
    curve.set("stroke-width", "4")
    if tunnel.state == "not registered":
        curve.set("stroke-dasharray", "10 8")
    middle = ((x1 + x2) / 4 + bend_x / 2, (y1 + y2) / 4 + bend_y / 2)
    label = _text(root, middle, f"{tunnel.cloud}: {tunnel.state}", COLOURS[tunnel.state])
    label.set("style", "paint-order: stroke; stroke: white; stroke-width: 6px")


def _draw_node(root: ElementTree.Element, node: NodePlan, place: Point) -> None:
    words = _words(node)
    width, height = 18 + 7.2 * max(len(word) for word in words), 12 + 15 * len(words)
    ElementTree.SubElement(
        root, "rect", x=_n(place[0] - width / 2), y=_n(place[1] - height / 2), width=_n(width),
        height=_n(height), rx="16" if node.kind == "isp" else "4", fill=FILLS[node.kind], stroke="#57606a",
    )  # fmt: skip
    for number, word in enumerate(words):
        _text(root, (place[0], place[1] - height / 2 + 18 + 15 * number), word, "#1f2328")


def _text(root: ElementTree.Element, place: Point, words: str, colour: str) -> ElementTree.Element:
    text = ElementTree.SubElement(root, "text", x=_n(place[0]), y=_n(place[1]), fill=colour)
    text.set("font-family", "monospace")
    text.set("font-size", "12")
    text.set("text-anchor", "middle")
    text.text = words
    return text


def _words(node: NodePlan) -> list[str]:
    """The node's name, and its addresses but for the ISP's."""
    if node.kind == "isp":
        return [node.name]
    addresses = [f"{i.address}{' (dhcp)' if i.dhcp else ''}" for i in node.interfaces]
    return [node.name, *addresses, *(f"{t.name} {t.address}" for t in node.tunnels)]


def _id(name: str) -> str:
    """A Mermaid identifier: `end` and hyphens mean something to it."""
    return "n_" + name.replace("-", "_")


def _n(value: float) -> str:
    return f"{value:.1f}"

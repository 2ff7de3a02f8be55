"""Pictures of a lab: tunnels over the underlay, registered or not, as Mermaid or SVG."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from dmvpn_lab.answers import NhrpEntry
from dmvpn_lab.errors import LabError
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan

State = Literal["registered", "not registered", "planned", "direct", "direct one way"]
Point = tuple[float, float]
Curve = tuple[Point, Point, Point]
"""Start, the point that bends it, end: a quadratic Bezier curve."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
ROUTER_RADIUS, HOST_RADIUS = 190, 350
"""Pixels from the ISP router in the middle, for a ring of up to ROOM_FOR routers; more make it larger."""
ROOM_FOR = 6
LETTER, LINE, MARGIN = 7.2, 15, 20
"""Pixels: a letter, a line of text, around the picture."""
DIRECT = frozenset({"resolved", "shortcut"})
"""Flags of what a spoke's cache has of another one."""
GAP = 4
"""Pixels that a label keeps from what it may not hide."""
BEND, PART = 0.12, 0.18
"""Of a tunnel's length: how far it is bent; how much more each further one between the same routers."""
PARTS = (0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7, 0.25, 0.75)
"""Where a label may stand on its curve, the best first."""
DOTS = 32
"""Steps in which a curve is followed to see what it meets."""
COLOURS: dict[State, str] = {
    "registered": "#1a7f37", "not registered": "#cf222e", "planned": "#6e7781",
    "direct": "#0969da", "direct one way": "#0969da",
}  # fmt: skip
ARROWS: dict[State, str] = {"not registered": "-.->", "direct": "<==>"}
"""Of Mermaid; of all others `==>`."""
FILLS = {"isp": "#ddf4ff", "nat": "#ffebe9", "router": "#fff8c5", "host": "#f6f8fa"}


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A spoke's tunnel to one hub, or while packets go there directly to another spoke."""

    spoke: str
    peer: str
    """The hub, or the other spoke."""
    cloud: str
    state: State

    def label(self) -> str:
        """What stands on it."""
        if self.state == "direct one way":
            return f"{self.cloud}: direct, only from {self.spoke}"
        return f"{self.cloud}: {self.state}"


def planned(plan: Plan) -> list[Tunnel]:
    """Every tunnel of a plan."""
    return [
        Tunnel(spoke.name, hub.name, cloud.name, "planned")
        for cloud in plan.clouds
        for spoke, _ in plan.members(cloud.name, "spoke")
        for hub, _ in plan.members(cloud.name, "hub")
    ]


async def observed(lab: RunningLab) -> list[Tunnel]:
    """Every tunnel of a running lab, as the routers' caches have it now."""
    found: list[Tunnel] = []
    for cloud in lab.plan.clouds:
        for hub, at_hub in lab.plan.members(cloud.name, "hub"):
            if hub.external is not None:  # nobody of ours to ask
                found += [t for t in planned(lab.plan) if (t.peer, t.cloud) == (hub.name, cloud.name)]
                continue
            entries: list[NhrpEntry] = await lab.query(hub.name, "nhrp")
            there = {e["protocol"] for e in entries
                     if e["interface"] == at_hub.name and "registered" in e["flags"]}  # fmt: skip
            for spoke, tunnel in lab.plan.members(cloud.name, "spoke"):
                state: State = "registered" if str(tunnel.address.ip) in there else "not registered"
                found.append(Tunnel(spoke.name, hub.name, cloud.name, state))
        found += await _between_spokes(lab, cloud)
    return found


async def _between_spokes(lab: RunningLab, cloud: CloudPlan) -> list[Tunnel]:
    """What spokes have resolved of each other, and their shortcuts: a line for each two of them."""
    if cloud.phase == 1:
        return []
    spokes = [member for each in lab.plan.clouds for member in lab.plan.members(each.name, "spoke")]
    owners = {str(address): node.name for node, tunnel in spokes for address in tunnel.registered()}
    ways: dict[tuple[str, str], None] = {}
    for spoke, tunnel in lab.plan.ours(cloud.name, "spoke"):
        entries: list[NhrpEntry] = []
        with contextlib.suppress(LabError):  # one whose agent is gone has the rest of the picture
            entries = await lab.query(spoke.name, "nhrp")
        for entry in entries:
            direct = entry["interface"] == tunnel.name and not DIRECT.isdisjoint(entry["flags"])
            if direct and owners.get(entry["via"], spoke.name) != spoke.name:
                ways[spoke.name, owners[entry["via"]]] = None
    both = [(one, other) for one, other in ways if one < other or (other, one) not in ways]
    return [
        Tunnel(one, other, cloud.name, "direct" if (other, one) in ways else "direct one way")
        for one, other in both
    ]


def mermaid(plan: Plan, tunnels: list[Tunnel]) -> str:
    """A Mermaid flowchart: solid lines are cables, thick ones tunnels, dotted those not registered.

    One between two spokes that both have it points both ways.
    """
    lines = ["flowchart TB"]
    shapes = {"isp": '(["{}"])', "nat": '{{{{"{}"}}}}', "router": '["{}"]', "host": '("{}")'}
    for node in plan.nodes:
        lines.append(f"  {_id(node.name)}{shapes[node.kind].format('<br/>'.join(_words(node)))}")
    for link in plan.links:
        lines.append(f"  {_id(link.a.node)} --- {_id(link.b.node)}")
    for number, tunnel in enumerate(tunnels, start=len(plan.links)):
        arrow = ARROWS.get(tunnel.state, "==>")
        lines.append(f'  {_id(tunnel.spoke)} {arrow}|"{tunnel.label()}"| {_id(tunnel.peer)}')
        lines.append(f"  linkStyle {number} stroke:{COLOURS[tunnel.state]}")
    return "\n".join([*lines, ""])


def svg(plan: Plan, tunnels: list[Tunnel]) -> str:
    """An SVG picture: the ISP in the middle, routers around it, hosts outside."""
    at = places(plan)
    boxes = {node.name: box(at[node.name], _words(node)) for node in plan.nodes}
    ends = [(at[tunnel.spoke], at[tunnel.peer]) for tunnel in tunnels]
    curves = [curve(*both, bend) for both, bend in zip(ends, bends(ends), strict=True)]
    labels = label_boxes(curves, [tunnel.label() for tunnel in tunnels], list(boxes.values()))
    left, top, right, bottom = _around([*boxes.values(), *labels, *(_extent(each) for each in curves)])
    width, height = _n(right - left), _n(bottom - top)
    root = ElementTree.Element(
        "svg", xmlns="http://www.w3.org/2000/svg", width=width, height=height,
        viewBox=f"{_n(left)} {_n(top)} {width} {height}",
    )  # fmt: skip
    ElementTree.SubElement(root, "title").text = plan.lab
    ElementTree.SubElement(root, "rect", x=_n(left), y=_n(top), width=width, height=height, fill="white")
    for link in plan.links:
        (x1, y1), (x2, y2) = at[link.a.node], at[link.b.node]
        ElementTree.SubElement(root, "line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), stroke="#8c959f")
    for tunnel, way in zip(tunnels, curves, strict=True):
        _draw_tunnel(root, tunnel, way)
    for node in plan.nodes:
        _draw_node(root, node, boxes[node.name])
    for tunnel, there in zip(tunnels, labels, strict=True):
        _draw_label(root, tunnel, there)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def places(plan: Plan) -> dict[str, Point]:
    """Where each node stands: the ISP in the middle, routers around it, hosts outside."""
    routers = plan.routers()
    scale, middle = max(1.0, len(routers) / ROOM_FOR), (0.0, 0.0)
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


def bends(ends: Sequence[tuple[Point, Point]]) -> list[float]:
    """How far each tunnel's curve leaves the straight line, as a part of that.

    The first between two routers keeps to the middle, past no other router; the others of the same two
    leave it to either side.
    """
    count: Counter[frozenset[Point]] = Counter()
    found = []
    for (x1, y1), (x2, y2) in ends:
        both = frozenset({(x1, y1), (x2, y2)})
        inwards = 1 if (x1 + x2) * (y2 - y1) - (y1 + y2) * (x2 - x1) <= 0 else -1
        found.append(inwards * (-1) ** count[both] * (BEND + PART * count[both]))
        count[both] += 1
    return found


def curve(start: Point, end: Point, bend: float) -> Curve:
    """A line that is bent to one side by a part of its length."""
    (x1, y1), (x2, y2) = start, end
    return start, ((x1 + x2) / 2 + (y2 - y1) * bend, (y1 + y2) / 2 - (x2 - x1) * bend), end


def along(way: Curve, part: float) -> Point:
    """The point of a curve after a part of it: 0.5 is its middle."""
    weights = ((1 - part) ** 2, 2 * part * (1 - part), part**2)
    x, y = (sum(w * point[axis] for w, point in zip(weights, way, strict=True)) for axis in (0, 1))
    return x, y


def shape(way: Curve) -> str:
    """A curve as SVG's path data."""
    (x1, y1), (x, y), (x2, y2) = way
    return f"M {_n(x1)} {_n(y1)} Q {_n(x)} {_n(y)} {_n(x2)} {_n(y2)}"


def box(middle: Point, words: Sequence[str]) -> Box:
    """The room that lines of text take around a point."""
    width, height = 18 + LETTER * max(len(word) for word in words), 12 + LINE * len(words)
    x, y = middle
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def label_boxes(curves: Sequence[Curve], labels: Sequence[str], taken: Sequence[Box]) -> list[Box]:
    """Where each curve's label stands: on it, where it hides least of boxes, labels and other curves."""
    dots = [[along(way, number / DOTS) for number in range(DOTS + 1)] for way in curves]
    found: list[Box] = []
    for index, (way, label) in enumerate(zip(curves, labels, strict=True)):
        others = [dot for number, row in enumerate(dots) if number != index for dot in row]
        tries = [_label_box(along(way, part), label) for part in PARTS]
        found.append(min(tries, key=lambda each: (
            sum(_meet(each, other) for other in (*taken, *found)),
            sum(each[0] <= x <= each[2] and each[1] <= y <= each[3] for x, y in others),
        )))  # fmt: skip
    return found


def _label_box(middle: Point, label: str) -> Box:
    (x, y), width = middle, 8 + LETTER * len(label)
    return x - width / 2, y - LINE / 2 - 1, x + width / 2, y + LINE / 2 + 1


def _meet(a: Box, b: Box) -> bool:
    """Whether two boxes overlap, or nearly do."""
    return all(a[axis] < b[axis + 2] + GAP and b[axis] < a[axis + 2] + GAP for axis in (0, 1))


def _extent(way: Curve) -> Box:
    xs, ys = zip(*(along(way, number / DOTS) for number in range(DOTS + 1)), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _around(boxes: Sequence[Box]) -> Box:
    """The picture that has all of them in it, with a margin."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts) - MARGIN, min(tops) - MARGIN, max(rights) + MARGIN, max(bottoms) + MARGIN


def _draw_tunnel(root: ElementTree.Element, tunnel: Tunnel, way: Curve) -> None:
    path = ElementTree.SubElement(root, "path", d=shape(way), fill="none", stroke=COLOURS[tunnel.state])
    path.set("stroke-width", "4")
    if tunnel.state == "not registered":
        path.set("stroke-dasharray", "10 8")


def _draw_label(root: ElementTree.Element, tunnel: Tunnel, there: Box) -> None:
    """On a ground of its own: not every program knows an outline behind letters (paint-order)."""
    left, top, right, bottom = there
    ground = ElementTree.SubElement(root, "rect", x=_n(left), y=_n(top), width=_n(right - left))
    ground.attrib.update({"height": _n(bottom - top), "rx": "3", "fill": "white", "fill-opacity": "0.85"})
    _text(root, ((left + right) / 2, bottom - 5), tunnel.label(), COLOURS[tunnel.state])


def _draw_node(root: ElementTree.Element, node: NodePlan, there: Box) -> None:
    left, top, right, bottom = there
    ElementTree.SubElement(
        root, "rect", x=_n(left), y=_n(top), width=_n(right - left), height=_n(bottom - top),
        rx="16" if node.kind == "isp" else "4", fill=FILLS[node.kind], stroke="#57606a",
    )  # fmt: skip
    for number, word in enumerate(_words(node)):
        _text(root, ((left + right) / 2, top + 18 + LINE * number), word, "#1f2328")


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

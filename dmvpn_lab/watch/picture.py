"""The view of a frame as a picture, in SVG: the underlay, tunnels over it, shortcuts past the hub. Pure.

All looks are attributes, so that the picture is the same alone and in a page that allows no inline
style. Each thing has an `id` of its own and a `class` with its state.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree

from dmvpn_lab import graph
from dmvpn_lab.graph import Curve, Point
from dmvpn_lab.watch.frame import Frame, Node, Shortcut, Tunnel

GREEN, RED, ORANGE, BLUE, GREY, INK = "#1a7f37", "#cf222e", "#bc4c00", "#0969da", "#8c959f", "#1f2328"
HALO = "#d4a72c"
"""Around what an SA protects."""
LETTER, LINE, MARGIN = 7.2, 15, 30
"""Pixels: a letter, a line of a label, around the picture."""
ABOVE, BELOW = 11, 19
"""Pixels from a flat line to the foot of the word above it, and of the one below it."""
HALF = {"router": 105, "host": 75, "isp": 30, "nat": 75}
"""Pixels from a node's middle to its side, roughly: what the picture must have room for."""


def svg(frame: Frame) -> str:
    """The whole picture."""
    places: dict[str, Point] = {node["name"]: node["place"] for node in frame["nodes"]}
    left, right = (f(n["place"][0] + s * HALF[n["kind"]] for n in frame["nodes"])
                   for f, s in ((min, -1), (max, 1)))  # fmt: skip
    top, bottom = (f(n["place"][1] for n in frame["nodes"]) for f in (min, max))
    box = (left - MARGIN, top - MARGIN - 30, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN + 60)
    root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", id="picture",
                               viewBox=" ".join(_n(each) for each in box))  # fmt: skip
    ElementTree.SubElement(root, "title").text = frame["lab"]
    for link in frame["links"]:
        (x1, y1), (x2, y2) = places[link["a"]], places[link["b"]]
        line = ElementTree.SubElement(root, "line", id=f"cable-{link['a']}-{link['b']}", stroke=GREY)
        line.attrib.update({"class": "cable", "x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)})
    ends = [(places[tunnel["spoke"]], places[tunnel["hub"]]) for tunnel in frame["tunnels"]]
    for tunnel, both, bend in zip(frame["tunnels"], ends, graph.bends(ends), strict=True):
        _tunnel(root, tunnel, both, bend)
    for shortcut in frame["shortcuts"]:
        _shortcut(root, shortcut, places[shortcut["source"]], places[shortcut["target"]])
    for node in frame["nodes"]:
        _node(root, node)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _tunnel(root: ElementTree.Element, tunnel: Tunnel, ends: tuple[Point, Point], bend: float) -> None:
    up = tunnel["state"] == "registered"
    colour = RED if not up else ORANGE if tunnel["protected"] is False else GREEN
    words = [tunnel["state"], *_safety(tunnel["protected"])]
    if tunnel["adjacent"] is not None:
        words.append("adjacent" if tunnel["adjacent"] else "not adjacent")
    state = "registered" if up else "not-registered"
    name = f"tunnel-{tunnel['cloud']}-{tunnel['spoke']}-{tunnel['hub']}"
    _way(root, name, f"tunnel {state}", ends, bend, colour, not up, tunnel["protected"],
         f"{tunnel['cloud']}: {', '.join(words)}")  # fmt: skip


def _shortcut(root: ElementTree.Element, way: Shortcut, source: Point, target: Point) -> None:
    colour = ORANGE if way["protected"] is False else BLUE
    words = [" ".join(way["prefixes"]) or "shortcut", *_safety(way["protected"])]
    name = f"shortcut-{way['cloud']}-{way['source']}-{way['target']}"
    _way(root, name, "shortcut", (source, target), 0.3, colour, way["protected"] is False, way["protected"],
         f"{way['source']} > {way['target']}: {', '.join(words)}")  # fmt: skip


def _safety(protected: bool | None) -> list[str]:
    return [] if protected is None else ["SA"] if protected else ["no SA"]


def _way(
    root: ElementTree.Element,
    name: str,
    kind: str,
    ends: tuple[Point, Point],
    bend: float,
    colour: str,
    dashed: bool,
    protected: bool | None,
    words: str,
) -> None:
    """A curve between two routers, with a word on it; what is protected has a halo."""
    bent = graph.curve(*ends, bend)
    shape = graph.shape(bent)
    safety = "" if protected is None else " protected" if protected else " not-protected"
    group = ElementTree.SubElement(root, "g", {"id": name, "class": f"way {kind}{safety}"})
    if protected:
        ElementTree.SubElement(group, "path", {"id": f"{name}-halo", "d": shape, "fill": "none",
                               "stroke": HALO, "stroke-width": "11", "stroke-opacity": "0.45"})  # fmt: skip
    curve = ElementTree.SubElement(group, "path", {"id": f"{name}-line", "d": shape, "fill": "none",
                                   "stroke": colour, "stroke-width": "4"})  # fmt: skip
    if dashed:
        curve.set("stroke-dasharray", "10 8")
    label = _text(group, f"{name}-words", _beside(bent), words, colour)
    label.attrib.update({"paint-order": "stroke", "stroke": "white", "stroke-width": "6"})


def _beside(bent: Curve) -> Point:
    """Where a curve's word stands: on its middle, and the flatter it is the more beside it."""
    (x, y), (start, bend, end) = graph.along(bent, 0.5), bent
    flat = abs(end[0] - start[0]) / (math.dist(start, end) or 1.0)
    below = bend[1] > (start[1] + end[1]) / 2
    return x, y + flat * (BELOW if below else -ABOVE)


def _node(root: ElementTree.Element, node: Node) -> None:
    words = _words(node)
    (x, y), name = node["place"], f"node-{node['name']}"
    width, height = 18 + LETTER * max(len(word) for word in words), 12 + LINE * len(words)
    gone = node["agent"] == "gone"
    group = ElementTree.SubElement(
        root, "g", {"id": name, "class": f"node {node['kind']}{' gone' if gone else ''}"}
    )
    ElementTree.SubElement(group, "rect", {
        "id": f"{name}-box", "x": _n(x - width / 2), "y": _n(y - height / 2), "width": _n(width),
        "height": _n(height), "rx": "16" if node["kind"] == "isp" else "4", "fill": graph.FILLS[node["kind"]],
        "stroke": RED if gone else "#57606a", "stroke-width": "3" if gone else "1",
    })  # fmt: skip
    for number, word in enumerate(words):
        _text(group, f"{name}-{number}", (x, y - height / 2 + 18 + LINE * number), word, INK)


def _words(node: Node) -> list[str]:
    """Its name and addresses; of a router's NBMA address what it is now."""
    if node["kind"] == "isp":
        return [node["name"]]
    words = [node["name"] + (" (no agent answers)" if node["agent"] == "gone" else "")]
    for tunnel in node["tunnels"]:
        if node["agent"] == "up":
            seen = f" (outside {tunnel['outside']})" if tunnel["outside"] else ""
            words.append(f"NBMA {tunnel['nbma'] or 'none'}{seen}")
    words = list(dict.fromkeys(words)) + node["addresses"]
    return words + [f"{t['interface']} {address}" for t in node["tunnels"] for address in t["addresses"]]


def _text(root: ElementTree.Element, name: str, at: Point, words: str, colour: str) -> ElementTree.Element:
    text = ElementTree.SubElement(root, "text", {
        "id": name, "x": _n(at[0]), "y": _n(at[1]), "fill": colour, "font-family": "monospace",
        "font-size": "12", "text-anchor": "middle",
    })  # fmt: skip
    text.text = words
    return text


def _n(value: float) -> str:
    return f"{value:.1f}"

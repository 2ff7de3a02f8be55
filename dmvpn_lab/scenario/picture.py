"""Draws a timeline as swim lanes, in SVG: a lane a router, time downwards, hubs in the middle."""

from __future__ import annotations

from xml.etree import ElementTree

from dmvpn_lab.scenario.lanes import Lanes, Row
from dmvpn_lab.scenario.timeline import Timeline
from dmvpn_lab.spec.plan_types import Plan

LANE, ROW, LEFT, TOP, MARGIN = 340, 28, 110, 84, 40
"""Pixels: between two lanes, between two rows, before the first lane, above the first row, around."""
LETTER = 6.7
"""Pixels of a letter, roughly."""
SHOWN = 120
"""Letters of a row at the most."""
ENCRYPTED, CLEAR, ACT, PROOF, FAILED = "#1a7f37", "#bc4c00", "#0969da", "#8250df", "#cf222e"
INK, FAINT = "#1f2328", "#8c959f"


def svg(plan: Plan, timeline: Timeline) -> str:
    """The picture of one run."""
    lanes = Lanes(plan, timeline)
    rows = lanes.rows()
    order = lane_order(plan)
    width = LEFT + LANE * len(order) + MARGIN
    height = TOP + ROW * len(rows) + 2 * MARGIN
    root = ElementTree.Element(
        "svg", xmlns="http://www.w3.org/2000/svg", width=str(width), height=str(height),
        viewBox=f"0 0 {width} {height}",
    )  # fmt: skip
    ElementTree.SubElement(root, "title").text = f"{timeline.scenario}: {timeline.title}"
    ElementTree.SubElement(root, "rect", width="100%", height="100%", fill="white")
    _text(root, MARGIN, 28, f"{timeline.scenario}: {timeline.title}", INK, "start", weight="bold")
    places = {name: LEFT + LANE * number + LANE / 2 for number, name in enumerate(order)}
    _lanes(root, plan, places, height)
    for number, row in enumerate(rows):
        _row(root, row, places, TOP + ROW * (number + 1), timeline.began, width)
    _legend(root, height)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def lane_order(plan: Plan) -> list[str]:
    """Half of the spokes, the hubs, the other spokes."""
    routers = plan.routers()
    hubs = [each.name for each in routers if any(tunnel.role == "hub" for tunnel in each.tunnels)]
    spokes = [each.name for each in routers if each.name not in hubs]
    half = (len(spokes) + 1) // 2
    return [*spokes[:half], *hubs, *spokes[half:]]


def _lanes(root: ElementTree.Element, plan: Plan, places: dict[str, float], height: int) -> None:
    for name, x in places.items():
        addresses = ", ".join(str(tunnel.address.ip) for tunnel in plan.node(name).tunnels)
        _text(root, x, TOP - 26, name, INK, "middle", weight="bold")
        _text(root, x, TOP - 10, addresses, FAINT, "middle")
        _line(root, (x, TOP), (x, height - 2 * MARGIN + ROW / 2), FAINT)


def _row(
    root: ElementTree.Element, row: Row, places: dict[str, float], y: float, began: float, width: int
) -> None:
    _text(root, LEFT - 14, y + 4, f"{row.at - began:.3f} s", FAINT, "end")
    if row.kind in ("act", "proof", "failure"):
        colour = {"act": ACT, "proof": PROOF, "failure": FAILED}[row.kind]
        sign = {"act": "\N{BLACK RIGHT-POINTING TRIANGLE}", "proof": "\N{CHECK MARK}",
                "failure": "\N{BALLOT X}"}[row.kind]  # fmt: skip
        _line(root, (LEFT, y), (width - MARGIN, y), colour, dashes="2 5")
        _label(root, LEFT + (width - MARGIN - LEFT) / 2, y, f"{sign} {row.words}", colour)
    elif row.source in places and row.target in places and row.source != row.target:
        _message(root, row, places, y)
    else:
        _mark(root, row, places.get(row.source, LEFT), y, width)


def _message(root: ElementTree.Element, row: Row, places: dict[str, float], y: float) -> None:
    """An arrow from lane to lane with its words; two heads when both do it together."""
    a, b = places[row.source], places[row.target]
    colour = ENCRYPTED if row.encrypted else CLEAR
    _line(root, (a, y), (b, y), colour, width="2" if row.kind == "ike" else "1.5")
    _head(root, b, y, 1 if b > a else -1, colour)
    if row.both:
        _head(root, a, y, 1 if a > b else -1, colour)
    _label(root, (a + b) / 2, y - 9, row.words, colour)


def _mark(root: ElementTree.Element, row: Row, x: float, y: float, width: int) -> None:
    """A dot on a lane with its words beside it, on the side where there is room."""
    ElementTree.SubElement(root, "circle", cx=_n(x), cy=_n(y), r="4", fill=INK)
    wide = LETTER * min(len(row.words), SHOWN) + 10
    right = x + 10 + wide < width - MARGIN / 2
    _label(root, x + 10 + wide / 2 if right else x - 10 - wide / 2, y, row.words, INK)


def _head(root: ElementTree.Element, x: float, y: float, way: int, colour: str) -> None:
    points = f"{_n(x)},{_n(y)} {_n(x - 9 * way)},{_n(y - 4)} {_n(x - 9 * way)},{_n(y + 4)}"
    ElementTree.SubElement(root, "polygon", points=points, fill=colour)


def _legend(root: ElementTree.Element, height: int) -> None:
    x, y = float(LEFT), height - MARGIN
    for words, colour in (("encrypted", ENCRYPTED), ("in clear", CLEAR),
                          ("what the scenario does", ACT), ("what it proves", PROOF)):  # fmt: skip
        _line(root, (x, y - 4), (x + 30, y - 4), colour, width="2")
        _text(root, x + 38, y, words, colour, "start")
        x += 70 + LETTER * len(words)


def _label(root: ElementTree.Element, x: float, y: float, words: str, colour: str) -> None:
    """Words on a line, in a white gap of it."""
    shown = words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"
    wide = LETTER * len(shown) + 10
    ElementTree.SubElement(
        root, "rect", x=_n(x - wide / 2), y=_n(y - 7), width=_n(wide), height="14", fill="white"
    )
    _text(root, x, y + 4, shown, colour, "middle")


def _line(
    root: ElementTree.Element, start: tuple[float, float], end: tuple[float, float], colour: str,
    *, width: str = "1", dashes: str | None = None,
) -> None:  # fmt: skip
    line = ElementTree.SubElement(
        root, "line", x1=_n(start[0]), y1=_n(start[1]), x2=_n(end[0]), y2=_n(end[1]), stroke=colour
    )
    line.set("stroke-width", width)
    if dashes:
        line.set("stroke-dasharray", dashes)


def _text(
    root: ElementTree.Element, x: float, y: float, words: str, colour: str, anchor: str,
    *, weight: str = "normal",
) -> None:  # fmt: skip
    text = ElementTree.SubElement(root, "text", x=_n(x), y=_n(y), fill=colour)
    text.set("font-family", "monospace")
    text.set("font-size", "11")
    text.set("font-weight", weight)
    text.set("text-anchor", anchor)
    text.text = words


def _n(value: float) -> str:
    return f"{value:.1f}"

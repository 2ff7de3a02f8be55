"""The view in a terminal: a frame and the last events as lines that fit. Pure; `screen.py` shows them.

Sections share the height: each gets its header and a row first, in the order of their worth, then
rows are given out one by one until the screen is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from dmvpn_lab.watch import columns, words
from dmvpn_lab.watch.columns import Column, Row
from dmvpn_lab.watch.frame import Frame

SOON_S = 30.0
"""What ends within so long is told in yellow."""
HEAD, GOOD, BAD, WARN, FAINT = "bold cyan", "green", "red", "yellow", "dim"
HINT = "q: quit"
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One table."""

    columns: tuple[Column, ...]
    rows: list[Row]
    worth: int
    """The lowest gets room first."""
    last: bool = False
    """Where not all rows have room, the last ones are shown: the newest."""


def lines(
    frame: Frame, events: Sequence[Event], now: float, width: int, height: int | None, note: str = HINT
) -> list[Text]:
    """The screen: at most `height` lines (None: all there is) of at most `width` columns."""
    sections = [each for each in _sections(frame, events, now) if each.rows]
    first = columns.cut(_heading(frame, now, note), width)
    room = None if height is None else height - 1
    shown = _rooms(sections, room)
    found = [first]
    for number, section in enumerate(sections):
        if (count := shown.get(number)) is not None:
            found += columns.lines(section.columns, _fitting(section, count), width, HEAD)
    return found[:height]


def _rooms(sections: list[Section], room: int | None) -> dict[int, int]:
    """Number of a section -> how many of its rows are shown."""
    if room is None:
        return {number: len(section.rows) for number, section in enumerate(sections)}
    shown: dict[int, int] = {}
    for number in sorted(range(len(sections)), key=lambda n: sections[n].worth):
        if room >= 2:
            shown[number] = 1
            room -= 2
    growing = True
    while room > 0 and growing:
        growing = False
        for number in sorted(shown):
            if room > 0 and shown[number] < len(sections[number].rows):
                shown[number] += 1
                room -= 1
                growing = True
    return shown


def _fitting(section: Section, count: int) -> list[Row]:
    """The rows that have room; the last of them tells how many have not."""
    rows = section.rows
    if count >= len(rows):
        return rows
    if section.last:
        return rows[-count:]
    more = [Text(f"… {len(rows) - count + 1} more", FAINT), *(Text() for _ in section.columns[1:])]
    return [*rows[: count - 1], more] if count > 1 else rows[:1]


def _heading(frame: Frame, now: float, note: str) -> Text:
    ours = [node for node in frame["nodes"] if node["agent"] != "none"]
    up = sum(node["agent"] == "up" for node in ours)
    registered = sum(tunnel["state"] == "registered" for tunnel in frame["tunnels"])
    tunnels = len(frame["tunnels"])
    return Text("  ").join(
        [
            Text(frame["lab"], "bold"),
            Text(words.clock(now)[:8]),
            *([Text(note, FAINT)] if note else []),
            Text(f"{up}/{len(ours)} agents", GOOD if up == len(ours) else BAD),
            Text(f"{registered}/{tunnels} registered", GOOD if registered == tunnels else BAD),
        ]
    )


def _sections(frame: Frame, events: Sequence[Event], now: float) -> list[Section]:
    return [
        _tunnels(frame, now), _shortcuts(frame, now), _caches(frame, now), _adjacencies(frame), _sas(frame),
        _events(events),
    ]  # fmt: skip


def _tunnels(frame: Frame, now: float) -> Section:
    shown = (Column("TUNNEL", 0), Column("cloud", 4), Column("NBMA address", 3), Column("state", 0),
             Column("expires", 1), Column("SA", 2), Column("routing", 2))  # fmt: skip
    rows: list[Row] = [
        (Text(f"{t['spoke']} > {t['hub']}"), Text(t["cloud"]), Text(t["nbma"] or "none"),
         Text(t["state"], GOOD if t["state"] == "registered" else BAD),
         _left(t["expires_at"], now, t["nbma"]),
         _yes(t["protected"], "up", "none"), _yes(t["adjacent"], "adjacent", "not adjacent"))
        for t in frame["tunnels"]
    ]  # fmt: skip
    return Section(shown, rows, 0)


def _shortcuts(frame: Frame, now: float) -> Section:
    shown = (
        Column("SHORTCUT", 0),
        Column("cloud", 3),
        Column("to", 1),
        Column("expires", 0),
        Column("SA", 2),
    )
    rows: list[Row] = [
        (Text(f"{s['source']} > {s['target']}"), Text(s["cloud"]), Text(" ".join(s["prefixes"]) or "itself"),
         _left(s["expires_at"], now), _yes(s["protected"], "up", "none"))
        for s in frame["shortcuts"]
    ]  # fmt: skip
    return Section(shown, rows, 2)


def _caches(frame: Frame, now: float) -> Section:
    shown = (Column("CACHE OF", 0), Column("address", 0), Column("of", 2), Column("NBMA address", 0),
             Column("expires", 1), Column("flags", 3))  # fmt: skip
    rows: list[Row] = [
        (Text(e["node"]), Text(e["protocol"]), Text(e["peer"]), Text(e["nbma"]),
         _left(e["expires_at"], now), Text(" ".join([e["type"], *e["flags"]]), FAINT))
        for e in frame["caches"]
    ]  # fmt: skip
    return Section(shown, rows, 3)


def _adjacencies(frame: Frame) -> Section:
    shown = (Column("ADJACENCY OF", 0), Column("with", 1), Column("neighbour", 0), Column("protocol", 2),
             Column("state", 0))  # fmt: skip
    rows: list[Row] = [
        (Text(a["node"]), Text(a["peer"]), Text(a["neighbour"]), Text(a["protocol"]),
         Text(a["state"], GOOD if a["up"] else BAD))
        for a in frame["adjacencies"]
    ]  # fmt: skip
    return Section(shown, rows, 4)


def _sas(frame: Frame) -> Section:
    shown = (Column("SA OF", 0), Column("with", 1), Column("NBMA address", 0), Column("IKE", 5),
             Column("transform", 6), Column("SPI in", 3), Column("SPI out", 4),
             Column("in", 2, right=True), Column("out", 2, right=True))  # fmt: skip
    rows: list[Row] = [
        (Text(s["node"]), Text(s["peer"]), Text(s["nbma"]), Text(s["ike"]),
         Text(s["transform"] + (" in UDP" if s["encapsulated"] else "")), Text(s["spi_in"]),
         Text(s["spi_out"]), Text(str(s["packets_in"])), Text(str(s["packets_out"])))
        for s in frame["sas"]
    ]  # fmt: skip
    return Section(shown, rows, 5)


def _events(events: Sequence[Event]) -> Section:
    shown = (Column("EVENT", 0), Column("of", 0), Column("", 0), Column("", 0))
    rows: list[Row] = [
        (Text(words.clock(e["at"]), FAINT), Text(e["node"]), Text(e["event"], _colour(e["event"])),
         Text(words.facts(e)))
        for e in events
    ]  # fmt: skip
    return Section(shown, rows, 1, last=True)


def _left(expires_at: float | None, now: float, bound: object = True) -> Text:
    if not bound:
        return Text("")
    soon = expires_at is not None and expires_at - now < SOON_S
    return Text(words.left(expires_at, now), WARN if soon else "")


def _yes(value: bool | None, yes: str, no: str) -> Text:
    return Text("-", FAINT) if value is None else Text(yes, GOOD) if value else Text(no, BAD)


def _colour(name: str) -> str:
    if name.endswith(("-refused", "-timeout", "-down", "-lost", "-failed", "-conflict", "-expired")):
        return BAD
    return GOOD if name in ("registered", "peer-registered", "resolved") or name.endswith("-up") else ""

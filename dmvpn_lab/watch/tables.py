"""A frame and events as tables of cells: what both views show, each in its own way. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dmvpn_lab.watch import words
from dmvpn_lab.watch.frame import Frame

Tone = Literal["", "good", "bad", "faint"]
Event = Mapping[str, Any]
BAD_ENDS = ("-refused", "-timeout", "-down", "-lost", "-failed", "-conflict", "-expired")
GOOD_NAMES = ("registered", "peer-registered", "resolved")


@dataclass(frozen=True, slots=True)
class Words:
    """A cell with a text."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Ends:
    """A cell that counts down."""

    at: float | None
    """Wall clock; None: never."""


Cell = Words | Ends
Row = Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    need: int
    """0 stays; of the others, the highest goes first where there is no room."""
    right: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    name: str
    columns: tuple[Column, ...]
    rows: list[Row]
    worth: int
    """The lowest gets room first."""
    last: bool = False
    """Where not all rows have room, the last ones are shown: the newest."""


def tables(frame: Frame) -> list[Table]:
    """All but the events, in their order on the screen."""
    return [_tunnels(frame), _shortcuts(frame), _caches(frame), _adjacencies(frame), _sas(frame)]


def events(told: Sequence[Event]) -> Table:
    """The events, the newest last."""
    shown = (Column("EVENT", 0), Column("of", 0), Column("", 0), Column("", 0))
    rows: list[Row] = [
        (Words(words.clock(e["at"]), "faint"), Words(e["node"]), Words(e["event"], _tone(e["event"])),
         Words(words.facts(e)))
        for e in told
    ]  # fmt: skip
    return Table("events", shown, rows, 1, last=True)


def summary(frame: Frame) -> list[Words]:
    """How much of the lab is as it should be."""
    ours = [node for node in frame["nodes"] if node["agent"] != "none"]
    up = sum(node["agent"] == "up" for node in ours)
    registered = sum(tunnel["state"] == "registered" for tunnel in frame["tunnels"])
    tunnels = len(frame["tunnels"])
    return [
        Words(f"{up}/{len(ours)} agents", "good" if up == len(ours) else "bad"),
        Words(f"{registered}/{tunnels} registered", "good" if registered == tunnels else "bad"),
    ]


def _tunnels(frame: Frame) -> Table:
    shown = (Column("TUNNEL", 0), Column("cloud", 4), Column("NBMA address", 3), Column("state", 0),
             Column("expires", 1), Column("SA", 2), Column("routing", 2))  # fmt: skip
    rows: list[Row] = [
        (Words(f"{t['spoke']} > {t['hub']}"), Words(t["cloud"]), Words(t["nbma"] or "none"),
         Words(t["state"], "good" if t["state"] == "registered" else "bad"),
         Words("") if t["nbma"] is None else Ends(t["expires_at"]),
         _yes(t["protected"], "up", "none"), _yes(t["adjacent"], "adjacent", "not adjacent"))
        for t in frame["tunnels"]
    ]  # fmt: skip
    return Table("tunnels", shown, rows, 0)


def _shortcuts(frame: Frame) -> Table:
    shown = (
        Column("SHORTCUT", 0),
        Column("cloud", 3),
        Column("to", 1),
        Column("expires", 0),
        Column("SA", 2),
    )
    rows: list[Row] = [
        (Words(f"{s['source']} > {s['target']}"), Words(s["cloud"]),
         Words(" ".join(s["prefixes"]) or "itself"), Ends(s["expires_at"]),
         _yes(s["protected"], "up", "none"))
        for s in frame["shortcuts"]
    ]  # fmt: skip
    return Table("shortcuts", shown, rows, 2)


def _caches(frame: Frame) -> Table:
    shown = (Column("CACHE OF", 0), Column("address", 0), Column("of", 2), Column("NBMA address", 0),
             Column("expires", 1), Column("flags", 3))  # fmt: skip
    rows: list[Row] = [
        (Words(e["node"]), Words(e["protocol"]), Words(e["peer"]), Words(e["nbma"]), Ends(e["expires_at"]),
         Words(" ".join([e["type"], *e["flags"]]), "faint"))
        for e in frame["caches"]
    ]  # fmt: skip
    return Table("caches", shown, rows, 3)


def _adjacencies(frame: Frame) -> Table:
    shown = (Column("ADJACENCY OF", 0), Column("with", 1), Column("neighbour", 0), Column("protocol", 2),
             Column("state", 0))  # fmt: skip
    rows: list[Row] = [
        (Words(a["node"]), Words(a["peer"]), Words(a["neighbour"]), Words(a["protocol"]),
         Words(a["state"], "good" if a["up"] else "bad"))
        for a in frame["adjacencies"]
    ]  # fmt: skip
    return Table("adjacencies", shown, rows, 4)


def _sas(frame: Frame) -> Table:
    shown = (Column("SA OF", 0), Column("with", 1), Column("NBMA address", 0), Column("IKE", 5),
             Column("transform", 6), Column("SPI in", 3), Column("SPI out", 4),
             Column("in", 2, right=True), Column("out", 2, right=True))  # fmt: skip
    rows: list[Row] = [
        (Words(s["node"]), Words(s["peer"]), Words(s["nbma"]), Words(s["ike"]),
         Words(s["transform"] + (" in UDP" if s["encapsulated"] else "")), Words(s["spi_in"]),
         Words(s["spi_out"]), Words(str(s["packets_in"])), Words(str(s["packets_out"])))
        for s in frame["sas"]
    ]  # fmt: skip
    return Table("sas", shown, rows, 5)


def _yes(value: bool | None, yes: str, no: str) -> Words:
    return Words("-", "faint") if value is None else Words(yes, "good") if value else Words(no, "bad")


def _tone(name: str) -> Tone:
    if name.endswith(BAD_ENDS):
        return "bad"
    return "good" if name in GOOD_NAMES or name.endswith("-up") else ""

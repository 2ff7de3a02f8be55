"""The view in a terminal: a frame and the last events as lines that fit. Pure; `screen.py` shows them.

Tables share the height: each gets its header and a row first, in the order of their worth, then
rows are given out one by one until the screen is full.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from dmvpn_lab.watch import columns, words
from dmvpn_lab.watch.frame import Frame
from dmvpn_lab.watch.tables import Cell, Ends, Event, Row, Table, Words, events, summary, tables

SOON_S = 30.0
"""What ends within so long is told in yellow."""
HEAD, WARN = "bold cyan", "yellow"
STYLES = {"": "", "good": "green", "bad": "red", "faint": "dim"}
HINT = "q: quit"


def lines(
    frame: Frame, told: Sequence[Event], now: float, width: int, height: int | None, note: str = HINT
) -> list[Text]:
    """The screen: at most `height` lines (None: all there is) of at most `width` columns."""
    shown = [each for each in (*tables(frame), events(told)) if each.rows]
    rooms = _rooms(shown, None if height is None else height - 1)
    found = [columns.cut(_heading(frame, now, note), width)]
    for number, table in enumerate(shown):
        if (count := rooms.get(number)) is not None:
            rows = [[_text(cell, now) for cell in row] for row in _fitting(table, count)]
            found += columns.lines(table.columns, rows, width, HEAD)
    return found[:height]


def _rooms(shown: list[Table], room: int | None) -> dict[int, int]:
    """Number of a table -> how many of its rows are shown."""
    if room is None:
        return {number: len(table.rows) for number, table in enumerate(shown)}
    rooms: dict[int, int] = {}
    for number in sorted(range(len(shown)), key=lambda n: shown[n].worth):
        if room >= 2:
            rooms[number] = 1
            room -= 2
    growing = True
    while room > 0 and growing:
        growing = False
        for number in sorted(rooms):
            if room > 0 and rooms[number] < len(shown[number].rows):
                rooms[number] += 1
                room -= 1
                growing = True
    return rooms


def _fitting(table: Table, count: int) -> list[Row]:
    """The rows that have room; the last of them tells how many have not."""
    rows = table.rows
    if count >= len(rows):
        return rows
    if table.last:
        return rows[-count:]
    more = [Words(f"… {len(rows) - count + 1} more", "faint"), *(Words("") for _ in table.columns[1:])]
    return [*rows[: count - 1], more] if count > 1 else rows[:1]


def _heading(frame: Frame, now: float, note: str) -> Text:
    head = [Text(frame["lab"], "bold"), Text(words.clock(now)[:8])]
    head += [Text(note, "dim")] if note else []
    return Text("  ").join([*head, *(_text(each, now) for each in summary(frame))])


def _text(cell: Cell, now: float) -> Text:
    match cell:
        case Words(text, tone):
            return Text(text, STYLES[tone])
        case Ends(at):
            soon = at is not None and at - now < SOON_S
            return Text(words.left(at, now), WARN if soon else "")

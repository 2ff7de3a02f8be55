"""Rows of cells as lines that fit a terminal: each row one line, the least needed column goes first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from dmvpn_lab.watch.tables import Column

GAP = 2
"""Blanks between two columns."""


def lines(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int, head: str) -> list[Text]:
    """A header line and one for each row, none wider than `width`."""
    kept = list(range(len(columns)))
    widths = [max(cell_len(column.title), *(cell_len(row[i].plain) for row in rows), 0)
              for i, column in enumerate(columns)]  # fmt: skip
    while _total(widths, kept) > width:
        dropped = max(kept, key=lambda i: columns[i].need)
        if columns[dropped].need == 0:
            break
        kept.remove(dropped)
    titles = [Text(columns[i].title, head) for i in kept]
    found = [_line(titles, columns, kept, widths, width)]
    return [*found, *(_line([row[i] for i in kept], columns, kept, widths, width) for row in rows)]


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[i] for i in kept) + GAP * (len(kept) - 1)


def _line(
    cells: Sequence[Text], columns: Sequence[Column], kept: Sequence[int], widths: Sequence[int], width: int
) -> Text:
    line = Text()
    for cell, i in zip(cells, kept, strict=True):
        padding = " " * (widths[i] - cell_len(cell.plain))
        line.append_text(Text(padding) + cell if columns[i].right else cell + Text(padding))
        line.append(" " * GAP)
    line.rstrip()
    return cut(line, width)


def cut(line: Text, width: int) -> Text:
    """A line no wider than a terminal; a sign tells that it goes on."""
    if cell_len(line.plain) <= width:
        return line
    short = line.copy()
    short.truncate(max(0, width - 1), overflow="crop")
    if cell_len(short.plain) > max(0, width - 1):
        short = Text(set_cell_size(short.plain, max(0, width - 1)))
    return short.append("…") if width > 0 else short

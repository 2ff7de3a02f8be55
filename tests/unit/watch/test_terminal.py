"""The view in a terminal: frames as they are drawn, in terminals of several sizes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dmvpn_lab.watch import columns, terminal, words
from dmvpn_lab.watch.screen import Screen
from dmvpn_lab.watch.state import LabState
from dmvpn_lab.watch.tables import Column
from tests.unit.spec.labs import bundled
from tests.unit.watch.answers import ANSWERS, SPOKE_B, ZERO, deck, entry, told

GOLDEN = Path(__file__).parent / "golden"
TOLD: list[tuple[str, str, dict[str, Any]]] = [
    ("spoke-a", "tunnel-up", {"nbma": "172.16.1.1"}),
    ("spoke-a", "registration-sent", {"nhs": "10.0.0.1", "trigger": "tunnel-up"}),
    ("hub", "peer-registered", {"protocol": "10.0.0.11", "nbma": "172.16.1.1"}),
    ("spoke-b", "registration-timeout", {"nhs": "10.0.0.1", "tries": 3}),
]
EVENTS: list[dict[str, Any]] = [
    {"v": 1, "at": ZERO + number, "node": node, "event": name, "interface": "tunnel0", **facts}
    for number, (node, name, facts) in enumerate(TOLD)
]


def shortened() -> LabState:
    """Phase 3, with a way from spoke-a to spoke-b that no SA protects yet."""
    state = told(LabState(bundled("ipsec-phase-3")), ANSWERS)
    found = entry("10.0.0.12", SPOKE_B, "resolved", left_s=100.0)
    behind = entry("192.168.2.0", SPOKE_B, "shortcut", left_s=100.0, via="10.0.0.12", prefix_length=24)
    state.answered("spoke-a", "nhrp", [*ANSWERS["spoke-a"]["nhrp"], found, behind], ZERO)
    return state


def drawn(state: LabState, width: int, height: int | None, at_s: float = 5.0) -> str:
    found = terminal.lines(state.frame(ZERO), EVENTS, ZERO + at_s, width, height)
    return "".join(f"{line.plain}\n" for line in found)


@pytest.mark.parametrize(
    ("name", "state", "width", "height"),
    [
        ("wide", deck, 130, 40),
        ("usual", deck, 80, 24),
        ("small", deck, 40, 12),
        ("shortcut", shortened, 100, None),
    ],
)
def test_a_frame_is_drawn_as_it_was_found_good(name: str, state: Any, width: int, height: int | None) -> None:
    assert drawn(state(), width, height) == (GOLDEN / f"terminal-{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [1, 2, 7, 20, 79, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 17, 60])
def test_no_terminal_is_too_small(width: int, height: int) -> None:
    found = terminal.lines(deck().frame(ZERO), EVENTS, ZERO, width, height)
    assert 1 <= len(found) <= height
    assert all(cell_len(line.plain) <= width for line in found)


def test_rows_that_have_no_room_are_counted_and_of_the_events_the_newest_are_shown() -> None:
    state = deck()
    many = [entry(f"10.0.0.{n}", SPOKE_B, "registered") for n in range(100, 200)]
    state.answered("hub", "nhrp", many, ZERO)
    found = drawn(state, 100, 24)
    shown = found.count(" dynamic registered")
    assert shown >= 2
    assert f"… {102 - shown} more" in found  # 100 of the hub, one of each spoke
    assert "registration-timeout" in found


def test_time_is_counted_down_from_one_frame_and_stops_at_nothing() -> None:
    state = deck()
    assert "registered  00:00:20" in drawn(state, 100, 40, 0.0)
    assert "registered  00:00:01" in drawn(state, 100, 40, 18.5)
    assert "registered  00:00:00" in drawn(state, 100, 40, 50.0)


def test_what_a_node_says_is_no_markup() -> None:
    state = deck()
    state.answered("hub", "nhrp", [entry("[red]x[/red]", "[bold]")], ZERO)
    assert "[red]x[/red]/32" in drawn(state, 130, 40)


def test_the_least_needed_column_goes_first_and_the_needed_ones_are_cut() -> None:
    shown = (Column("name", 0), Column("second", 2), Column("third", 1))
    rows = [(Text("a-long-name"), Text("22"), Text("3"))]
    plain = [[line.plain for line in columns.lines(shown, rows, width, "")] for width in (30, 20, 11, 5)]
    assert plain == [
        ["name         second  third", "a-long-name  22      3"],
        ["name         third", "a-long-name  3"],
        ["name", "a-long-name"],
        ["name", "a-lo…"],
    ]


def test_a_wide_letter_is_not_cut_in_half() -> None:
    assert columns.cut(Text("日本語"), 4).plain == "日 …"
    assert cell_len(columns.cut(Text("日本語"), 4).plain) == 4


def test_only_lines_that_changed_are_written_again() -> None:
    out = io.StringIO()
    console = Console(file=out, width=40, height=3, force_terminal=True, color_system=None, _environ={})
    screen = Screen(console)
    first = screen.draw([Text("one"), Text("two"), Text("three")])
    assert [first.count(each) for each in ("one", "two", "three")] == [1, 1, 1]
    assert screen.draw([Text("one"), Text("two"), Text("three")]) == ""
    assert screen.draw([Text("one"), Text("2"), Text("three")]) == "\x1b[2;1H2\x1b[K"
    assert screen.draw([Text("one")]) == "\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K"
    console.size = (40, 2)
    assert "one" in screen.draw([Text("one"), Text("two")])


@pytest.mark.parametrize(
    ("left_s", "shown"),
    [(None, "never"), (3599.9, "00:59:59"), (0.4, "00:00:00"), (-3.0, "00:00:00"), (36e4, "100:00:00")],
)
def test_remaining_time_is_told_as_routers_tell_it(left_s: float | None, shown: str) -> None:
    assert words.left(None if left_s is None else ZERO + left_s, ZERO) == shown

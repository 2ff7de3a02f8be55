"""docs/hardening.md names tests and counters: they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.constants import CieCode, ErrorCode

TOP = Path(__file__).resolve().parents[3]
ROWS = [line for line in (TOP / "docs/hardening.md").read_text().splitlines() if line.startswith("| ")]
THREATS = [row for row in ROWS if "`test_" in row]
COUNTED = [row for row in THREATS if row.count("|") == 5]


def test_every_line_of_the_tables_names_a_test() -> None:
    assert len(THREATS) == len(ROWS) - 3 >= 32  # three heads


def test_the_tests_that_it_names_exist() -> None:
    files = [path.read_text() for path in (TOP / "tests").rglob("test_*.py")]
    there = {name for text in files for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    named = {name for row in THREATS for name in re.findall(r"`(test_\w+)`", row)}
    assert named - there == set()


@pytest.mark.parametrize("row", COUNTED, ids=lambda row: row.split("|")[1].strip())
def test_the_counters_that_it_names_exist(row: str) -> None:
    known = {value for name, value in vars(counters).items() if name.isupper() and isinstance(value, str)}
    known |= {counters.refused(code) for code in CieCode}
    known |= {counters.error(code, direction="received") for code in (*ErrorCode, 99)}
    known.add("error-received-code-N")
    assert set(re.findall(r"`([a-z][\w-]+)`", row.split("|")[3])) <= known

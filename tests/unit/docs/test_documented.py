"""A document's sample of output is compared strictly, except where it says that it varies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documented import Printed, commands, difference

OUTPUT = "address    NBMA\n10.0.0.11  172.16.1.1  00:59:41\n10.0.0.12  172.16.2.1  00:59:42\n"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("address  NBMA", "10.0.0.11  172.16.1.1  00:10:00", "10.0.0.12 172.16.2.1 00:00:01"),
        ("…", "10.0.0.12  …"),
        ("address  NBMA", "…"),
        ("…", "10.0.0.11  …", "…"),
    ],
)
def test_the_same_output_matches(lines: tuple[str, ...]) -> None:
    assert difference(Printed("x", lines), OUTPUT) is None


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (("address  NBMA", "10.0.0.12  …"), "10.0.0.12  …"),
        (("…", "10.0.0.13  …"), "10.0.0.13  …"),
        (("address  NBMA",), "goes on"),
        (("…", "10.0.0.12  172.16.2.2  00:00:01"), "10.0.0.12  172.16.2.2"),
        (("…", "10.0.0.12  …", "10.0.0.11  …"), "10.0.0.11"),
    ],
)
def test_another_output_is_told(lines: tuple[str, ...], missing: str) -> None:
    assert missing in (difference(Printed("x", lines), OUTPUT) or "")


def test_commands_are_read_in_order_with_what_they_print(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "text\n```console\n$ one -a\nout\n\n$ two\n```\n```\n$ three\n```\n```console\n$ four\n```\n"
    )
    assert commands(document) == [
        Printed("one -a", ("out",)),
        Printed("two", ()),
        Printed("four", ()),
    ]

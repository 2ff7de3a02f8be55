"""Reading YAML: where things stand, and what is refused before anybody looks at its meaning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.errors import Problem, TopologyError
from dmvpn_lab.spec import load
from dmvpn_lab.spec.load import Document, parse

TEXT = b"""\
lab: x
clouds:
  dmvpn: {key: 7}
nodes:
  hub:
    map:
      - first
      - {protocol: 10.0.0.1}
"""


def refused(raw: bytes) -> Problem:
    with pytest.raises(TopologyError) as caught:
        parse(raw, "x.yml")
    (problem,) = caught.value.problems
    return problem


def value(text: str) -> Any:
    return parse(f"key: {text}\n".encode(), "x.yml").data["key"]


def test_each_key_and_item_knows_where_it_stands() -> None:
    marks = parse(TEXT, "x.yml").marks
    assert marks[("lab",)] == (1, 1)
    assert marks[("clouds", "dmvpn", "key")] == (3, 11)
    assert marks[("nodes", "hub", "map", 0)] == (7, 9)
    assert marks[("nodes", "hub", "map", 1, "protocol")] == (8, 10)


def test_a_problem_of_something_that_is_not_there_points_at_what_is_around_it() -> None:
    problem = parse(TEXT, "x.yml").problem(("nodes", "hub", "nbma"), "missing", expected="one", hint="two")
    assert str(problem) == "x.yml:5:3: nodes.hub.nbma: missing\n    expected: one\n    hint: two"


def test_a_problem_of_the_whole_document_stands_at_its_beginning() -> None:
    assert str(Document("x.yml", {}).problem((), "empty")) == "x.yml:1:1: document: empty"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("true", True),
        ("On", True),
        ("no", False),
        ("~", None),
        ("", None),
        ("word", "word"),
        ("'12'", "12"),
        ("'true'", "true"),
        ("1.5", "1.5"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("10.0.0.1", "10.0.0.1"),
        ("!!python/object:os.system x", "x"),
    ],
)
def test_scalars_are_what_a_reader_takes_them_for(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


def test_a_number_of_thousands_of_digits_stays_a_word() -> None:
    assert value("9" * 5000) == "9" * 5000


def test_keys_are_words_even_when_they_look_like_something_else() -> None:
    assert parse(b"1: a\nyes: b\n", "x.yml").data == {"1": "a", "yes": "b"}


def test_an_alias_is_expanded() -> None:
    document = parse(b"a: &x {k: 1}\nb: *x\n", "x.yml")
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbflab: x\n", "x.yml").data == {"lab": "x"}


def test_octets_that_are_no_utf_8_are_told_with_their_place() -> None:
    problem = refused("lab: é\nhub: ".encode() + b"\xff\n")
    assert (problem.line, problem.column) == (2, 6)
    assert problem.message == "not UTF-8 text: invalid start byte"


def test_a_control_character_is_told_with_its_place() -> None:
    problem = refused(b"lab: x\nisp: a\x00b\n")
    assert (problem.line, problem.column) == (2, 7)
    assert problem.message == "not YAML: the character 0x00 is not allowed"


@pytest.mark.parametrize("depth", [100, 10_000])
def test_deep_nesting_is_refused_and_never_a_traceback(depth: int) -> None:
    assert refused(b"a: " + b"[" * depth + b"]" * depth).message == load.TOO_MUCH


@pytest.mark.parametrize("raw", [b"", b"# x\n", b"- a\n", b"word\n", b"42\n", b"null\n"])
def test_what_is_no_mapping_is_refused(raw: bytes) -> None:
    assert refused(raw).expected == "the keys lab, clouds and nodes"


def test_an_alias_bomb_is_refused_before_it_fills_the_memory() -> None:
    bomb = "a: &a [" + "x," * 9 + "x]\n"
    for i in range(1, 12):
        bomb += f"{chr(97 + i)}: &{chr(97 + i)} [" + ",".join([f"*{chr(96 + i)}"] * 10) + "]\n"
    assert refused(bomb.encode()).message == load.TOO_MUCH


def test_a_key_that_stands_twice_is_kept_as_a_problem_and_the_rest_is_read() -> None:
    document = parse(b"a: 1\nb: {c: 1, c: 2}\na: 3\n", "x.yml")
    assert [str(each) for each in document.problems] == [
        "x.yml:2:11: b.c: this key stands here twice",
        "x.yml:3:1: a: this key stands here twice",
    ]


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse; reading it whole would take all memory
    with pytest.raises(TopologyError, match="too large"):
        load.load(path)


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yml"
    path.write_bytes(b"lab: x\n#".ljust(load.SIZE_LIMIT, b"."))
    assert load.load(path).data == {"lab": "x"}


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="cannot be read: No such file or directory"):
        load.load(tmp_path / "none.yml")
    with pytest.raises(TopologyError, match="cannot be read: Is a directory"):
        load.load(tmp_path)


def test_the_name_in_messages_is_the_one_that_the_user_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yml").write_text("- x\n")
    with pytest.raises(TopologyError, match=r"^mine\.yml:1:1: document"):
        load.load(Path("mine.yml"))
    with pytest.raises(TopologyError, match=rf"^\.\.{os.sep}{tmp_path.name}{os.sep}mine\.yml:1:1"):
        load.load(Path("..") / tmp_path.name / "mine.yml")

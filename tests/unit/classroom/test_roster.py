"""Who is in a class: what a roster says, and what is told of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.classroom import roster
from dmvpn_lab.errors import TopologyError

WRONG = """\
class: Monday Group
learners: [anna, bob, anna]
instructors: [bob]
at-once: 0
idle: 5
"""
TOLD = """\
roster.yml:1:1: class: 'Monday Group' will not do
    expected: lower-case letters, digits and hyphens, at most 32, beginning with a letter
roster.yml:2:23: learners[2]: 'anna' stands here twice
roster.yml:3:15: instructors[0]: 'bob' stands here twice
roster.yml:4:1: at-once: 0 will not do
    expected: 1 or more
roster.yml:5:1: idle: unknown key
    hint: known here: class, learners, instructors, at-once, idle-minutes, memory-mib"""


def read(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> roster.Roster:
    monkeypatch.chdir(folder)
    Path("roster.yml").write_text(text)
    return roster.read(Path("roster.yml"))


def test_a_roster_names_people_and_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = read(
        tmp_path, "class: monday\nlearners: [anna, bob]\ninstructors: [carla]\nat-once: 3\n", monkeypatch
    )
    assert told.people == ("anna", "bob", "carla")
    assert (told.class_, told.at_once, told.idle_minutes, told.memory_mib) == ("monday", 3, 60, 1024)


def test_a_wrong_roster_is_told_with_all_its_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TopologyError) as caught:
        read(tmp_path, WRONG, monkeypatch)
    assert str(caught.value) == TOLD


def test_names_that_will_not_do_are_not_also_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TopologyError) as caught:
        read(tmp_path, "class: x\nlearners: [A B, 7]\ninstructors: [c]\n", monkeypatch)
    assert [problem.path for problem in caught.value.problems] == ["learners[0]", "learners[1]"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("class: x\nlearners: []\ninstructors: [c]\n", "learners: nothing in it"),
        ("class: x\nlearners: [a]\n", "instructors: this key is missing"),
        ("class: x\nlearners: [../b]\ninstructors: [c]\n", r"learners\[0\]: '../b' will not do"),
        ("class: x\nlearners: a\ninstructors: [c]\n", "learners: 'a' will not do"),
    ],
)
def test_a_class_has_learners_and_instructors_with_names(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TopologyError, match=told):
        read(tmp_path, text, monkeypatch)

"""Scenario files: what comes with the program, how they are found, and values that are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.errors import TopologyError, UsageError
from dmvpn_lab.scenario import load, values
from dmvpn_lab.scenario.load import bundled_scenarios
from tests.unit.scenario.fake import scenario

BUNDLED = sorted(path.stem for path in bundled_scenarios().glob("*.yml"))


def test_there_are_scenarios_for_the_whole_deck() -> None:
    assert {"new-address", "swapped-address", "no-address", "spoke-sees-spoke", "split-horizon",
            "sa-loss", "rekey", "shortcut"} <= set(BUNDLED)  # fmt: skip


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_scenario_is_right_and_named_after_its_file(name: str) -> None:
    loaded = load.read(load.find(name))
    assert loaded.scenario.scenario == name
    assert loaded.scenario.title


def test_a_topology_beside_the_scenario_comes_before_a_bundled_one(tmp_path: Path) -> None:
    text = (bundled_scenarios().parent.parent / "topologies" / "hub-and-spoke.yml").read_text()
    (tmp_path / "mine.yml").write_text(text.replace("lab: hub-and-spoke", "lab: mine"))
    steps = "- clear: spoke-a\n- expect: {event: resolution-ended}\n"
    path = tmp_path / "x.yml"
    assert scenario(tmp_path, steps, "mine.yml").topology == "mine.yml"
    assert load.read(path).plan.lab == "mine"


def test_an_unknown_topology_or_scenario_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"x\.yml:2:1: topology: there is no topology 'nowhere'") as told:
        scenario(tmp_path, "- clear: spoke-a\n", "nowhere")
    assert "hub-and-spoke" in str(told.value)
    with pytest.raises(UsageError, match="there is no scenario 'nothing'") as caught:
        load.find("nothing")
    assert "new-address" in str(caught.value.hint)


@pytest.mark.parametrize(("text", "length_s"), [("5s", 5), ("500ms", 0.5), ("2min", 120), ("1.5 s", 1.5)])
def test_times_have_a_unit(text: str, length_s: float) -> None:
    assert values.seconds(text) == length_s
    assert values.seconds(values.duration(length_s)) == length_s


@pytest.mark.parametrize("wrong", ["5", 5, "s", "-1s", "61min", "1e3s", None, ["5s"]])
def test_other_times_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="a time, such as 5s"):
        values.seconds(wrong)


def test_a_command_is_words_and_quotes_hold_them_together() -> None:
    assert values.argv("ping -c 1 'a b'") == ("ping", "-c", "1", "a b")
    assert values.argv(["ping", "-c", 1, "$HOME; x"]) == ("ping", "-c", "1", "$HOME; x")

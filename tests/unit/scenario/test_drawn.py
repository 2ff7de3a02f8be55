"""Timelines by chance: the seed repeats them, they fit the lab, and they can be written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults import registry
from dmvpn_lab.scenario import drawn, load, model
from tests.unit.spec.labs import BUNDLED, bundled, plan

STATIC = """
lab: static
clouds: {dmvpn: {subnet: 10.0.0.0/24}}
nodes:
  hub: {nbma: 172.17.0.1/24, lan: 192.168.0.1/24, clouds: {dmvpn: {role: hub}}}
  spoke: {nbma: 172.16.1.1/24, lan: 192.168.1.1/24, clouds: {dmvpn: {role: spoke}}}
"""


def test_the_same_seed_draws_the_same_and_another_draws_another() -> None:
    deck = bundled("hub-and-spoke")
    first = [drawn.draw(deck, "hub-and-spoke", seed, 6) for seed in range(20)]
    again = [drawn.draw(deck, "hub-and-spoke", seed, 6) for seed in range(20)]
    assert first == again
    assert len({drawn.dump(each).split("steps:")[1] for each in first}) == 20


@pytest.mark.parametrize("topology", BUNDLED)
def test_what_is_drawn_is_a_scenario_that_a_file_can_hold(topology: str, tmp_path: Path) -> None:
    for seed in range(10):
        scenario = drawn.draw(bundled(topology), topology, seed, 5)
        assert sum(isinstance(step, model.Inject) for step in scenario.steps) == 5
        path = tmp_path / "drawn.yml"
        path.write_text(drawn.dump(scenario))
        assert load.read(path).scenario == scenario  # every rule of a scenario holds, too


def test_every_kind_of_fault_that_applies_is_drawn_some_time() -> None:
    steps = drawn.draw(bundled("ipsec"), "ipsec", 1, 200).steps
    injected = [step for step in steps if isinstance(step, model.Inject)]
    assert {step.inject for step in injected} >= {"address-change", "sa-delete", "ike-restart", "rekey"}
    changes = [step.options for step in injected if step.inject == "address-change"]
    assert {key for options in changes for key in options} == {"swap", "subnet", "gap"}
    assert {step.inject for step in drawn.draw(bundled("hub-and-spoke"), "x", 1, 50).steps
            if isinstance(step, model.Inject)}.isdisjoint({"sa-delete", "ike-restart", "rekey"})  # fmt: skip


def test_what_is_over_only_when_somebody_renews_is_not_drawn() -> None:
    kinds = registry.kinds()
    assert {name for name, kind in kinds.items() if not kind.drawn} == {
        "clear-nhrp", "expire", "hub-restart", "impair", "link-down", "nat-rebind",
    }  # fmt: skip
    assert kinds["hub-restart"].targets(bundled("hub-and-spoke")) == ("hub",)


@pytest.mark.parametrize(
    ("name", "options", "wrong"),
    [
        ("impair", {"delay": 50, "loss": 1}, {"delay": "50ms"}),
        ("impair", {"rate": 2000}, {}),
        ("link-down", {"lan": True}, {"lan": "yes"}),
        ("link-down", {}, {"wan": True}),
        ("nat-rebind", {}, {"how": "x"}),
        ("agent-kill", {"how": "stop"}, {"how": "softly"}),
        ("address-change", {"gap": "2s", "subnet": True}, {"subnet": True, "swap": "spoke-b"}),
    ],
)
def test_options_of_a_fault_are_checked_before_any_lab_runs(
    name: str, options: dict[str, object], wrong: dict[str, object]
) -> None:
    registry.kind(name).check(options)
    with pytest.raises(UsageError):
        registry.kind(name).check(wrong)


def test_what_lasts_is_undone_before_the_last_checks() -> None:
    for seed in range(20):
        steps = drawn.draw(bundled("hub-and-spoke"), "x", seed, 4).steps
        lasting = 0
        for step in steps:
            lasting += isinstance(step, model.Inject) and registry.kind(step.inject).lasting
            if isinstance(step, model.Undo):
                lasting = 0 if step.undo == "all" else lasting - 1
        assert lasting == 0
        assert [step.settle.check for step in steps[-4:]  # type: ignore[union-attr]
                ] == ["registration", "multicast", "adjacency", "reachability"]  # fmt: skip


def test_only_what_applies_to_a_lab_is_drawn() -> None:
    steps = drawn.draw(plan(STATIC), "static", 1, 20).steps
    assert {step.inject for step in steps if isinstance(step, model.Inject)} == {"agent-kill"}


def test_a_lab_without_anything_to_disturb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "kinds", dict)
    with pytest.raises(UsageError, match="no fault applies to static"):
        drawn.draw(plan(STATIC), "static", 1, 1)

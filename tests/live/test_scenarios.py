"""The bundled scenarios on live labs, and that a scenario cannot pass without what it should cause."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmvpn_lab.scenario import drawn, load, model
from dmvpn_lab.scenario.lanes import Lanes
from dmvpn_lab.scenario.timeline import Timeline
from dmvpn_lab.testing import Labs, LiveLab, ScenarioFailed
from tests.live import labs
from tests.live.line_watch import ESP, LineWatch, line_watch

pytestmark = pytest.mark.live
SEED, FAULTS = 11, 1
WAITING = """
scenario: waiting
topology: hub-and-spoke
steps:
  - trigger: ip link set dev eth2 down
    node: isp
    restore: ip link set dev eth2 up
  - expect: {event: nbma-changed, node: spoke-a, facts: {new: null}}
  - hold: {entry: nhs, node: spoke-a, has: {state: waiting}}
    for: 10min
"""


def passed(timeline: Timeline) -> None:
    """Every step passed, nothing was left for the end; prints the times."""
    assert timeline.passed
    assert timeline.undone == []
    for step in timeline.steps:
        print(f"{timeline.scenario}: {step.at_s} s {step.kind} {step.what}: {step.after_s} s")


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "name",
    [
        "new-address",
        "swapped-address",
        pytest.param("no-address", marks=LONG),
        pytest.param("spoke-sees-spoke", marks=LONG),
    ],
)
def test_a_scenario_on_the_decks_lab_passes(dmvpn_labs: Labs, name: str) -> None:
    timeline = dmvpn_labs.scenario(name)
    passed(timeline)
    registered = [event["event"] for event in timeline.events if event["node"].startswith("spoke")]
    assert ("registered" in registered) is (name != "spoke-sees-spoke")


@pytest.mark.long
def test_a_timeline_drawn_from_a_seed_passes_and_undoes_itself(dmvpn_lab: LiveLab) -> None:
    scenario = drawn.draw(dmvpn_lab.plan, "hub-and-spoke", SEED, FAULTS)
    passed(dmvpn_lab.scenario(scenario))
    assert dmvpn_lab.faults() == []


def test_an_interrupted_run_leaves_the_lab_as_it_was(dmvpn_lab: LiveLab, tmp_path: Path) -> None:
    path = tmp_path / "waiting.yml"
    path.write_text(WAITING)
    process = labs.start_command("run", str(path))
    assert process.stdout is not None
    said: list[str] = []
    while not (said and "expect: spoke-a: event nbma-changed" in said[-1]):
        said.append(process.stdout.readline())
        assert said[-1], said
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "at the end: isp: ip link set dev eth2 up" in rest
    dmvpn_lab.wait_for(lambda: dmvpn_lab.show("spoke-a", "nhs")[0]["state"] == "registered", 60)


@pytest.mark.long
def test_split_horizon_hides_one_spoke_from_the_other(dmvpn_labs: Labs) -> None:
    topology = str(load.read(load.find("split-horizon")).topology)
    with dmvpn_labs.running(topology):
        passed(dmvpn_labs.scenario("split-horizon"))


@pytest.mark.long
def test_a_shortcut_is_absent_triggered_and_present_and_proves_nothing_when_it_is_there(
    dmvpn_labs: Labs,
) -> None:
    whole = load.read(load.find("shortcut")).scenario
    first = next(n for n, step in enumerate(whole.steps) if isinstance(step, model.Trigger))
    again = whole.model_copy(update={"steps": whole.steps[first:]})
    with dmvpn_labs.running("phase-3") as lab:
        passed(lab.scenario(whole))
        with pytest.raises(ScenarioFailed, match="proves nothing: it was so before the act: spoke-a: nhrp"):
            lab.scenario(again)


@pytest.mark.long
def test_a_shortcut_ends_with_the_address_and_with_the_line_that_it_leads_to(dmvpn_labs: Labs) -> None:
    with dmvpn_labs.running("phase-3") as lab:
        timeline = lab.scenario(load.read(load.find("shortcut-ends")).scenario)
        passed(timeline)
        ended = [each["reason"] for each in timeline.events if each["event"] == "shortcut-removed"]
        assert "purged" in ended


@pytest.fixture(scope="module")
def lines() -> Iterator[LineWatch]:
    with line_watch("ipsec") as watch:
        yield watch


@pytest.fixture(scope="module")
def ipsec(lines: LineWatch, dmvpn_labs: Labs) -> Iterator[LiveLab]:
    with dmvpn_labs.running("ipsec") as lab:
        assert lines.opened.is_set()
        yield lab


@pytest.mark.long
@pytest.mark.parametrize("name", ["sa-loss", "rekey"])
def test_a_scenario_of_ipsec_passes_and_nothing_is_in_clear(
    ipsec: LiveLab, lines: LineWatch, name: str
) -> None:
    timeline = ipsec.scenario(load.read(load.find(name)).scenario)
    passed(timeline)
    assert lines.cleartext() == []
    assert any(packet.protocol == ESP for packet in lines.packets)
    plan = ipsec.plan
    rows = [row for row in Lanes(plan, timeline).rows() if "spoke-a" in (row.source, row.target)]
    kinds = [row.words for row in rows if row.kind in ("ike", "registration")]
    if name == "rekey":
        assert kinds == ["IPsec: new keys"]
        return
    since = kinds[kinds.index("IPsec: the last SA is gone") :]  # the lab's own start stands before it
    after = since[since.index("IKE/IPsec established") + 1 :]
    assert after[0] == "NHRP registration request (ipsec-up)"
    assert "NHRP registration reply" in after
    assert all(row.encrypted for row in rows if row.kind == "registration")

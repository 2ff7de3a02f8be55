"""The pytest plugin: a suite of its own is run, and what it leaves is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dmvpn_lab.backends.state import running_labs

pytestmark = pytest.mark.live

SUITE = """
    import pytest

    PCAP_HEADER = 24

    def test_that_looks_at_once(dmvpn_lab):
        assert {e["nbma"] for e in dmvpn_lab.show("hub", "nhrp")} == {"172.16.1.1", "172.16.2.1"}

    def test_that_fails_after_a_fault(dmvpn_lab):
        dmvpn_lab.address_change("spoke-a", "172.16.1.77/24")
        assert dmvpn_lab.show("hub", "nhrp") == "something else"

    def test_that_comes_after_it(dmvpn_lab):
        assert dmvpn_lab.faults() == []
        assert dmvpn_lab.events() == []
        assert {e["nbma"] for e in dmvpn_lab.show("hub", "nhrp")} == {"172.16.1.1", "172.16.2.1"}

    def test_that_fails_with_one_link_captured(dmvpn_labs, tmp_path):
        lab = dmvpn_labs.get(capture=["spoke-b"])
        for spoke in ("spoke-a", "spoke-b"):
            lab.must(spoke, "ping", "-c", "1", "-W", "5", "10.0.0.1")

        def nothing_else_is_kept():
            (file,) = lab.observer.capture.write(tmp_path)
            assert file.stat().st_size == PCAP_HEADER + lab.observer.capture.octets

        lab.wait_for(lambda: nothing_else_is_kept() is None)
        assert lab.name == "something else"

    def test_that_fails_without_a_capture(dmvpn_labs):
        lab = dmvpn_labs.get(capture=[])
        assert lab.name == "something else"

    def test_that_breaks_a_node(dmvpn_lab):
        dmvpn_lab.exec("host-1", "kill", "-TERM", "1")
        dmvpn_lab.wait_for(lambda: not dmvpn_lab.whole())

    def test_that_takes_its_lab_down_and_fails(dmvpn_labs):
        lab = dmvpn_labs.get()
        lab.down()
        assert lab.name == "something else"

    def test_that_fails_within_a_block(dmvpn_labs):
        with dmvpn_labs.running() as lab:
            assert lab.name == "something else"

    def test_that_comes_after_the_block(dmvpn_labs):
        assert dmvpn_labs.up() == []

    @pytest.fixture(scope="module")
    def of_a_block(dmvpn_labs):
        with dmvpn_labs.running() as lab:
            assert lab.name == "something else"
            yield lab

    def test_whose_fixture_fails_within_a_block(of_a_block):
        pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.RunResult:
    pytester.makepyfile(test_suite=SUITE)
    (pytester.path / "left/test_of_an_earlier_run").mkdir(parents=True)
    (pytester.path / "left/test_of_an_earlier_run/failure.txt").write_text("red")
    return pytester.runpytest_inprocess(
        "-p",
        "dmvpn_lab.pytest_plugin",
        "--lab-topology",
        "phase-1",
        "--lab-artefacts",
        "left",
        "--junitxml=junit.xml",
    )


def test_faults_are_undone_broken_labs_replaced_and_a_failed_test_leaves_what_there_is_to_know(
    suite: pytest.RunResult, pytester: pytest.Pytester
) -> None:
    suite.assert_outcomes(passed=4, failed=5, errors=1)
    folder, one_link, no_link, without_a_lab, block = (
        pytester.path / "left" / f"test_suite.py--test_that_{name}"
        for name in (
            "fails_after_a_fault",
            "fails_with_one_link_captured",
            "fails_without_a_capture",
            "takes_its_lab_down_and_fails",
            "fails_within_a_block",
        )
    )
    assert not (pytester.path / "left/test_of_an_earlier_run").exists()
    assert [path.name for path in without_a_lab.iterdir()] == ["failure.txt"]
    assert "something else" in (folder / "failure.txt").read_text()
    _events_tell_the_move(folder)
    _captures_hold_the_registration(folder)
    assert [path.name for path in (one_link / "captures").iterdir()] == ["spoke-b.pcap"]
    assert list((no_link / "captures").iterdir()) == []
    fixture = pytester.path / "left" / "test_suite.py--test_whose_fixture_fails_within_a_block" / "setup"
    for each in (block, fixture):
        assert "172.16.1.1" in (each / "show/hub/nhrp.json").read_text(), "it was up when the report was made"
    cache = json.loads((folder / "show/hub/nhrp.json").read_text())
    assert "172.16.1.77" in {entry["nbma"] for entry in cache}
    assert "agent.log" in (folder / "logs/hub.log").read_text()
    cases = ElementTree.parse(pytester.path / "junit.xml").findall(".//property")
    assert [(each.get("name"), each.get("value")) for each in cases] == [
        ("dmvpn-lab-artefacts", str(left))
        for left in (folder, one_link, no_link, without_a_lab, block, fixture)
    ]
    assert "phase-1" not in running_labs()


def _events_tell_the_move(folder: Path) -> None:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    moved = [e for e in events if e["event"] == "peer-registered" and e["nbma"] == "172.16.1.77"]
    assert [e["previous_nbma"] for e in moved] == ["172.16.1.1"]


def _captures_hold_the_registration(folder: Path) -> None:
    assert {path.name for path in (folder / "captures").iterdir()} == {
        "hub.pcap",
        "spoke-a.pcap",
        "spoke-b.pcap",
    }
    packets = (folder / "captures" / "spoke-a.pcap").read_bytes()
    gre_of_nhrp = bytes.fromhex("20002001 00000001")  # key present, protocol NHRP, key 1
    assert gre_of_nhrp in packets

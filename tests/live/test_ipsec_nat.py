"""A spoke behind a NAT router under IPsec: ESP in UDP (RFC 3948), bound to the address it is seen with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import labs
from tests.live.labs import Lab
from tests.live.line_watch import ESP, GRE, LineWatch, line_watch

pytestmark = pytest.mark.live

NAME = "test-ipsec-nat"
OUTSIDE, SPOKE_B = "172.16.1.1", "172.16.2.1"
NAT_T_PORT = 4500


@pytest.fixture(scope="module")
def lines() -> Iterator[LineWatch]:
    with line_watch(NAME) as watch:
        yield watch


@pytest.fixture(scope="module")
def lab(lines: LineWatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    path = labs.topology(tmp_path_factory.mktemp("nat"), "ipsec-nat", NAME)
    with labs.running(path) as made:
        assert lines.opened.is_set()
        yield made


def test_every_check_of_the_lab_passes_and_only_the_hidden_spoke_is_reached_in_udp(
    lab: Lab, lines: LineWatch
) -> None:
    assert [r for r in lab.verify() if not r.passed] == []
    (sa,) = lab.query("spoke-a", "ipsec")
    assert sa["encapsulated"]
    at_hub = {entry["nbma"]: entry for entry in lab.query("hub", "ipsec")}
    assert at_hub[OUTSIDE]["encapsulated"]
    assert at_hub[OUTSIDE]["identity"] == f"spoke-a.{NAME}.test"
    assert not at_hub[SPOKE_B]["encapsulated"]
    bound = {entry["protocol"]: entry["nbma"] for entry in lab.query("hub", "nhrp")}
    assert bound == {"10.0.0.11": OUTSIDE, "10.0.0.12": SPOKE_B}
    assert any(p.port == NAT_T_PORT and p.source == OUTSIDE for p in lines.packets)


@pytest.mark.parametrize(("fault", "how"), [("rekey", "child"), ("sa-delete", "terminate")])
def test_a_spoke_behind_a_nat_gets_new_keys_and_new_sas_under_traffic(lab: Lab, fault: str, how: str) -> None:
    done = lab.json("inject", fault, "spoke-a", "--how", how)
    assert done["passed"], done
    print(f"{fault}: {done['outages'][0]['outage_s']:.2f} s, {done['outages'][0]['lost']} lost")


def test_nothing_was_in_clear_behind_the_nat_either(lab: Lab, lines: LineWatch) -> None:
    assert lines.lost == 0
    assert [packet for packet in lines.packets if packet.protocol == GRE] == []
    assert any(packet.protocol == ESP for packet in lines.packets)

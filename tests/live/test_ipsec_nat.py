"""A spoke behind a NAT router under IPsec: ESP in UDP (RFC 3948), bound to the address it is seen with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs
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
def lab(lines: LineWatch, dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("nat"), "ipsec-nat", NAME)
    with dmvpn_labs.running(str(path)) as made:
        assert lines.opened.is_set()
        yield made
    assert labs.left_behind(NAME) == []


def test_every_check_of_the_lab_passes_and_only_the_hidden_spoke_is_reached_in_udp(
    lab: LiveLab, lines: LineWatch
) -> None:
    lab.verify()
    (sa,) = lab.show("spoke-a", "ipsec")
    assert sa["encapsulated"]
    at_hub = {entry["nbma"]: entry for entry in lab.show("hub", "ipsec")}
    assert at_hub[OUTSIDE]["encapsulated"]
    assert at_hub[OUTSIDE]["identity"] == f"spoke-a.{NAME}.test"
    assert not at_hub[SPOKE_B]["encapsulated"]
    bound = {entry["protocol"]: entry["nbma"] for entry in lab.show("hub", "nhrp")}
    assert bound == {"10.0.0.11": OUTSIDE, "10.0.0.12": SPOKE_B}
    assert any(p.port == NAT_T_PORT and p.source == OUTSIDE for p in lines.packets)


@pytest.mark.parametrize(("fault", "how"), [("rekey", "child"), ("sa-delete", "terminate")])
def test_a_spoke_behind_a_nat_gets_new_keys_and_new_sas_under_traffic(
    lab: LiveLab, fault: str, how: str
) -> None:
    (outage,) = lab.outage(fault, "spoke-a", how)
    print(f"{fault}: {outage.outage_s:.2f} s, {outage.lost} lost")


def test_nothing_was_in_clear_behind_the_nat_either(lab: LiveLab, lines: LineWatch) -> None:
    assert lines.lost == 0
    assert [packet for packet in lines.packets if packet.protocol == GRE] == []
    assert any(packet.protocol == ESP for packet in lines.packets)

"""Two domains on one router, whole: each works, and neither knows anything of the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab


@pytest.fixture(scope="module")
def two(dmvpn_labs: Labs) -> Iterator[LiveLab]:
    with dmvpn_labs.running("two-domains") as lab:
        yield lab


def test_both_domains_of_the_lab_are_whole(two: LiveLab) -> None:
    two.verify()


def test_the_router_in_both_keeps_their_caches_apart(two: LiveLab) -> None:
    entries = two.show("spoke-a", "nhrp")
    servers = {(e["interface"], e["network_id"], e["protocol"]) for e in entries if "nhs" in e["flags"]}
    assert servers == {("tunnel0", 1, "10.0.0.1"), ("tunnel1", 2, "10.1.0.1")}


def test_what_one_domain_knows_the_other_never_hears_of(two: LiveLab) -> None:
    red = {e["protocol"] for e in two.show("hub-red", "nhrp")}
    blue = {e["protocol"] for e in two.show("hub-blue", "nhrp")}
    assert (red, blue) == ({"10.0.0.11", "10.0.0.12"}, {"10.1.0.11", "10.1.0.13"})
    assert "192.168.3.0" not in two.must("spoke-red", "ip", "route")
    assert two.exec("host-3", "ping", "-n", "-c", "1", "-W", "2", "192.168.3.2").exit_code != 0

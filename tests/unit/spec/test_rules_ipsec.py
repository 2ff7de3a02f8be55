"""Wrong `ipsec` sections, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.errors import TopologyError
from dmvpn_lab.spec.load import parse
from dmvpn_lab.spec.model import Lab
from dmvpn_lab.spec.validate import validate

TEXT = (Path(__file__).parents[3] / "topologies" / "ipsec.yml").read_text()
KEY = "      pre-shared-key: dmvpn-lab\n"


def read(*changes: tuple[str, str]) -> Lab:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return validate(parse(text.encode(), "lab.yml"))


@pytest.mark.parametrize(
    ("new", "path", "message", "said"),
    [
        ("", "clouds.dmvpn.ipsec.pre-shared-key", "this key is missing", "pre-shared-key: secret"),
        (f"{KEY}      authentication: certificates\n", "clouds.dmvpn.ipsec.pre-shared-key",
         "not used with certificates", "leave it out"),
        ("      authentication: spoke-keys\n      ike: 1\n", "clouds.dmvpn.ipsec.authentication",
         "IKEv1 main mode cannot find a spoke's key", "`ike: 2`"),
        (f"{KEY}      bind-identity: true\n", "clouds.dmvpn.ipsec.bind-identity",
         "one key for all proves no identity", "`authentication: spoke-keys` or `certificates`"),
        (f"{KEY}      transform-set-: x\n", "clouds.dmvpn.ipsec.transform-set-", "unknown key",
         "did you mean 'transform-set'"),
        (f"{KEY}      dpd: 0\n", "clouds.dmvpn.ipsec.dpd", "0 will not do", "1 or more"),
    ],
)  # fmt: skip
def test_a_wrong_section_is_told_with_its_place_and_a_way_out(
    new: str, path: str, message: str, said: str
) -> None:
    with pytest.raises(TopologyError) as caught:
        read((KEY, new))
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.message.startswith(message)
    assert said in f"{problem.expected} {problem.hint}"


def test_a_transform_set_that_is_none_is_told_with_examples() -> None:
    with pytest.raises(TopologyError) as caught:
        read(("esp-gcm 128", "aes-gcm"))
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == ("clouds.dmvpn.ipsec.transform-set", "'aes-gcm' will not do")
    assert "esp-3des esp-sha-hmac" in str(problem.expected)


def test_a_packet_that_does_not_fit_with_esp_is_told_with_the_largest_mtu() -> None:
    with pytest.raises(TopologyError) as caught:
        read(("    key: 1\n", "    key: 1\n    mtu: 1460\n"))
    (problem,) = caught.value.problems
    assert problem.path == "clouds.dmvpn.mtu"
    largest = int(str(problem.expected).split()[0])
    assert read(("    key: 1\n", f"    key: 1\n    mtu: {largest}\n")).clouds["dmvpn"].mtu == largest


def test_two_tunnels_of_a_router_share_their_protection() -> None:
    second = "  other:\n    subnet: 10.9.0.0/24\n    key: 2\n\nnodes:"
    hub = "{dmvpn: {role: hub, address: 10.0.0.1}}"
    with pytest.raises(TopologyError) as caught:
        read(("\nnodes:", second), (hub, "{dmvpn: {role: hub}, other: {role: hub}}"))
    (problem,) = caught.value.problems
    assert problem.path == "nodes.hub.clouds.other"
    assert "the same `ipsec`" in str(problem.hint)

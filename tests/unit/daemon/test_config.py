"""The agent's configuration file: what it means, and what each mistake is answered."""

from __future__ import annotations

import copy
import json
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.daemon.config import load, parse
from dmvpn_lab.errors import EXIT_USAGE, UsageError
from dmvpn_lab.nhrp.config import TunnelConfig

HUB: dict[str, Any] = {
    "version": 1,
    "control": "/run/dmvpn-lab/agent.sock",
    "tunnels": [
        {
            "name": "tunnel0", "mode": "multipoint", "source": "eth1", "address": "10.0.0.1/24",
            "network_id": 1, "mtu": 1400, "holding_time_s": 600, "unique": False,
        }
    ],
}  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    """The hub's document with other keys in its tunnel; None takes a key away."""
    document = copy.deepcopy(HUB)
    tunnel = document["tunnels"][0]
    for key, value in changes.items():
        if value is None:
            tunnel.pop(key, None)
        else:
            tunnel[key] = value
    return document


def test_a_tunnel_of_the_least_keys_has_the_rest_at_its_defaults() -> None:
    config = parse(HUB)
    assert config.control == Path("/run/dmvpn-lab/agent.sock")
    assert config.tunnels == (
        TunnelConfig("tunnel0", "multipoint", "eth1", IPv4Interface("10.0.0.1/24"), 1, 1400,
                     holding_time_s=600, unique=False),
    )  # fmt: skip


def test_every_key_of_a_spoke_is_understood() -> None:
    document = changed(
        key=7, authentication="secret", registration_interval_s=60, unique=True, nhs=["10.0.0.1"],
        map=[{"protocol": "10.0.0.1", "nbma": "172.17.0.1"}], map_multicast=["172.17.0.1"],
        map_multicast_dynamic=True,
    )  # fmt: skip
    (tunnel,) = parse(document).tunnels
    assert (tunnel.key, tunnel.authentication, tunnel.registration_interval_s) == (7, "secret", 60)
    assert (tunnel.unique, tunnel.map_multicast_dynamic) == (True, True)
    assert tunnel.nhs == (IPv4Address("10.0.0.1"),)
    assert tunnel.static_maps == ((IPv4Address("10.0.0.1"), IPv4Address("172.17.0.1")),)
    assert tunnel.map_multicast == (IPv4Address("172.17.0.1"),)


def test_point_to_point_has_its_destination() -> None:
    (tunnel,) = parse(changed(mode="point-to-point", destination="172.17.0.1")).tunnels
    assert tunnel.destination == IPv4Address("172.17.0.1")


WRONG: dict[str, tuple[Any, str]] = {
    "no version": ({**HUB, "version": None}, "version None, this agent reads 1"),
    "a later version": ({**HUB, "version": 2}, "version 2, this agent reads 1"),
    "no tunnels": ({**HUB, "tunnels": []}, "no tunnels: an agent needs one at least"),
    "a mode": (changed(mode="mgre"), "tunnel tunnel0: mode 'mgre' is neither multipoint nor point-to-point"),
    "a destination too many": (changed(destination="172.16.1.1"), "a destination goes with point-to-point"),
    "no destination": (changed(mode="point-to-point"), "a destination goes with point-to-point"),
    "an address": (changed(address="10.0.0.256/24"), "10.0.0.256"),
    "a server's address": (changed(nhs=["hub"]), "'hub'"),
    "a missing key": (changed(mtu=None), "the key 'mtu' is missing"),
    "half a map": (changed(map=[{"protocol": "10.0.0.1"}]), "the key 'nbma' is missing"),
    "an MTU in words": (changed(mtu="1400"), "tunnel tunnel0: mtu is '1400', not a number from 68 to 65535"),
    "an MTU that no packet has": (changed(mtu=70000), "mtu is 70000"),
    "a key of 33 bits": (changed(key=1 << 32), "key is 4294967296"),
    "a key that is true": (changed(key=True), "key is True"),
    "a holding time of no time": (changed(holding_time_s=0), "holding_time_s is 0"),
    "a holding time of 17 bits": (changed(holding_time_s=65536), "holding_time_s is 65536"),
    "an interval of no time": (changed(registration_interval_s=0), "registration_interval_s is 0"),
    "an empty secret": (changed(authentication=""), "authentication has 1 to 8 octets"),
    "a long secret": (changed(authentication="ninechars"), "authentication has 1 to 8 octets"),
    "a list": ([1, 2], "list"),
    "a number": (7, "int"),
    "a tunnel that is a string": ({**HUB, "tunnels": ["tunnel0"]}, "string indices"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_a_usage_error_that_names_the_file_and_the_fault(what: str, tmp_path: Path) -> None:
    document, wanted = WRONG[what]
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert wanted in str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE


def test_what_is_not_json_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    for text in (b"", b"{", b"\xff\xfe"):
        path.write_bytes(text)
        with pytest.raises(UsageError, match="not JSON"):
            load(path)


def test_a_file_that_is_not_there_is_named_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"agent\.json: No such file") as caught:
        load(tmp_path / "agent.json")
    assert caught.value.hint == "name the file with --config"

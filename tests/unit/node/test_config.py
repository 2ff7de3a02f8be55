"""A node's configuration file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.errors import UsageError
from dmvpn_lab.node.config import Interface, Route, Service, load, parse

LEAST: dict[str, Any] = {"version": 1, "hostname": "hub", "interfaces": [], "services": [], "agent": False}


def service(name: str, *after: str) -> dict[str, Any]:
    return {"name": name, "argv": ["/bin/true"], "after": list(after)}


def test_a_node_of_the_least_keys_has_nothing_else() -> None:
    node = parse(LEAST)
    assert (node.hostname, node.agent, node.nft) == ("hub", False, "")
    assert not any((node.interfaces, node.routes, node.sysctls, node.directories, node.services))


def test_every_key_is_understood() -> None:
    node = parse(LEAST | {
        "interfaces": [{"name": "eth1", "mtu": 1500, "mac": "02:00:00:00:00:01",
                        "addresses": ["192.0.2.1/24"], "held": True}],
        "routes": [{"destination": "default", "via": "192.0.2.254"}],
        "sysctls": {"net.ipv4.ip_forward": "1"},
        "nft": "table inet x {}",
        "directories": {"/run/frr": "frr"},
        "services": [{"name": "zebra", "argv": ["zebra", "-A"], "after": ["mgmtd"], "ready": "/run/z",
                      "restart": True}, service("mgmtd")],
        "agent": True,
    })  # fmt: skip
    assert node.interfaces == (Interface("eth1", 1500, ("192.0.2.1/24",), "02:00:00:00:00:01", held=True),)
    assert node.routes == (Route("default", "192.0.2.254"),)
    assert node.sysctls == (("net.ipv4.ip_forward", "1"),)
    assert (node.nft, node.directories, node.agent) == ("table inet x {}", (("/run/frr", "frr"),), True)
    assert node.services[0] == Service("zebra", ("zebra", "-A"), ("mgmtd",), "/run/z", True)
    assert node.services[1] == Service("mgmtd", ("/bin/true",))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a later version": ({"version": 2}, "version 2, this node reads 1"),
    "two of a name": ({"services": [service("a"), service("a")]}, "two services have the name a"),
    "the agent's name": ({"services": [service("agent")], "agent": True}, "two services have the name agent"),
    "an unknown need": ({"services": [service("a", "b")]}, "a service waits for b, which is not there"),
    "an agent that is not there": ({"services": [service("a", "agent")]}, "waits for agent, which is not"),
    "itself": ({"services": [service("a", "a")]}, "services wait for each other: a"),
    "a ring": (
        {"services": [service("x"), service("a", "b"), service("b", "c", "x"), service("c", "a")]},
        "services wait for each other: a, b, c",
    ),
    "an interface without name": ({"interfaces": [{"mtu": 1500}]}, "the key 'name' is missing"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_a_usage_error_that_names_the_file_and_the_fault(what: str, tmp_path: Path) -> None:
    changes, wanted = WRONG[what]
    path = tmp_path / "node.json"
    path.write_text(json.dumps(LEAST | changes))
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert wanted in str(caught.value)


def test_a_service_may_wait_for_the_agent() -> None:
    assert parse(LEAST | {"services": [service("a", "agent")], "agent": True}).services[0].after == ("agent",)


def test_a_file_that_is_not_there_or_not_json_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load(tmp_path / "node.json")
    (tmp_path / "node.json").write_text("{")
    with pytest.raises(UsageError, match="Expecting property name"):
        load(tmp_path / "node.json")

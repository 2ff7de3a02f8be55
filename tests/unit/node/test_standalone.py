"""A node without a lab: from one variable or a mounted file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.daemon import __main__ as agent
from dmvpn_lab.daemon.config import load as load_agent
from dmvpn_lab.daemon.config import parse
from dmvpn_lab.errors import UsageError
from dmvpn_lab.node import config, mounted, standalone


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config, "PATH", tmp_path / "node.json")
    monkeypatch.setattr(standalone, "TUNNEL", tmp_path / "tunnel.json")
    monkeypatch.setattr(agent, "DEFAULT_CONFIG", tmp_path / "agent.json")
    return tmp_path


def test_a_variable_makes_a_spoke_that_knows_its_hubs(places: Path) -> None:
    text = '{"address": "10.0.0.11/24", "key": 1, "hubs": {"10.0.0.1": "172.20.0.2"}}'
    node = standalone.load({"DMVPN_TUNNEL": text})
    (tunnel,) = load_agent(places / "agent.json").tunnels
    assert (node.agent, [interface.name for interface in node.interfaces]) == (True, ["eth0"])
    assert [str(nhs) for nhs in tunnel.nhs] == ["10.0.0.1"]
    assert [(str(p), str(n)) for p, n in tunnel.static_maps] == [("10.0.0.1", "172.20.0.2")]
    assert [str(nbma) for nbma in tunnel.map_multicast] == ["172.20.0.2"]
    assert (tunnel.mode, tunnel.map_multicast_dynamic, tunnel.key) == ("multipoint", False, 1)


def test_without_hubs_it_is_a_hub() -> None:
    (tunnel,) = parse(standalone.agent_document({"address": "10.0.0.1/24"})).tunnels
    assert (tunnel.nhs, tunnel.map_multicast_dynamic) == ((), True)


def test_a_mounted_file_says_the_same(places: Path) -> None:
    (places / "tunnel.json").write_text('{"address": "10.0.0.1/24", "source": "eth7", "holding_time_s": 60}')
    node = standalone.load({})
    (tunnel,) = load_agent(places / "agent.json").tunnels
    assert (tunnel.source, tunnel.holding_time_s, node.interfaces[0].name) == ("eth7", 60, "eth7")


def test_the_configuration_of_a_lab_goes_first(places: Path) -> None:
    (places / "node.json").write_text(
        json.dumps({"version": 1, "hostname": "x", "interfaces": [], "services": [], "agent": False})
    )
    assert standalone.load({"DMVPN_TUNNEL": "nonsense"}).hostname == "x"


SPOKE = '{"address": "10.0.0.11/24", '


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON: Expecting property name"),
        ("", "not JSON: "),
        ("{}", "address: the tunnel address with its length is needed"),
        ('{"address": "10.0.0.11"}', "address: the tunnel address with its length is needed"),
        ('{"address": "hub/24"}', "'hub/24' does not appear to be an IPv4 or IPv6 interface"),
        (SPOKE + '"hubs": {"10.0.0.1": "hub"}}', "hubs: 'hub' is no IPv4 address"),
        (SPOKE + '"hubs": "10.0.0.1"}', "hubs: each hub's tunnel and NBMA address are needed"),
        (SPOKE + '"destination": "hub"}', "destination: 'hub' is no IPv4 address"),
        (SPOKE + '"hub": {}}', "there is no key 'hub'; did you mean 'hubs'?"),
        (SPOKE + '"colour": 1}', "there is no key 'colour'; there are: address, hubs, name, "),
        (SPOKE + '"key": "one"}', "key is 'one', not a number from 0 to 4294967295"),
        (SPOKE + '"source": 7}', "name and source are names of interfaces"),
        ("[]", "a JSON object is needed, not []"),
        ("1", "a JSON object is needed, not 1"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_wrong_and_leaves_nothing(
    places: Path, text: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        standalone.load({"DMVPN_TUNNEL": text})
    assert str(caught.value).startswith("DMVPN_TUNNEL: ")
    assert words in str(caught.value)
    assert "docker run --cap-add NET_ADMIN" in (caught.value.hint or "")
    assert list(places.iterdir()) == []


def test_a_mounted_file_that_is_none_is_told_as_what_it_is(places: Path) -> None:
    (places / "tunnel.json").mkdir()
    with pytest.raises(UsageError, match=r"tunnel\.json is a directory"):
        standalone.load({})
    (places / "tunnel.json").rmdir()
    (places / "tunnel.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(UsageError, match=r"tunnel\.json: not JSON"):
        standalone.load({})


def test_each_key_that_is_known_is_one_that_the_agent_reads() -> None:
    class Read(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            read.add(key)
            return super().__getitem__(key)

        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    read: set[str] = set()
    document = standalone.agent_document({"address": "10.0.0.1/24"})
    parse({**document, "tunnels": [Read(document["tunnels"][0])]})
    assert set(standalone.KEYS) - {"hubs"} == read - {"protected", "owners"}


def test_a_node_that_is_told_nothing_says_what_it_could_be_told() -> None:
    with pytest.raises(UsageError, match="DMVPN_TUNNEL") as error:
        standalone.load({})
    assert error.value.hint is not None
    assert "docker run" in error.value.hint


def test_mounted_files_come_to_their_places(tmp_path: Path) -> None:
    mount, root = tmp_path / "mount", tmp_path / "root"
    (mount / "etc/frr").mkdir(parents=True)
    (mount / "etc/frr/ospfd.conf").write_text("router ospf\n")
    (mount / "..2026" / "etc").mkdir(parents=True)
    (mount / "..2026" / "etc" / "x").write_text("a ConfigMap's own")
    assert mounted.install(mount, root) == 1
    assert (root / "etc/frr/ospfd.conf").read_text() == "router ospf\n"
    assert mounted.install(tmp_path / "nowhere", root) == 0

"""Routers that are not ours, in containerlab's file and on Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dmvpn_lab import controller
from dmvpn_lab.errors import UsageError
from dmvpn_lab.render import clabernetes, containerlab
from dmvpn_lab.render.files import files
from dmvpn_lab.spec.part import part
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.render.externals import C8000V, TEXT, mixed
from tests.unit.render.test_containerlab import validator


def rendered(plan: Plan) -> tuple[dict[str, str], dict[str, Any]]:
    """The directory, and the topology file in it."""
    found = containerlab.directory(plan, files(plan), "dmvpn-lab/node:1")
    document: dict[str, Any] = yaml.safe_load(found["mixed.clab.yml"])
    return found, document


def test_a_vendors_router_has_its_kind_its_image_and_its_startup_configuration(tmp_path: Path) -> None:
    found, document = rendered(mixed(tmp_path, spoke=C8000V))
    assert [error.message for error in validator().iter_errors(document)] == []
    node = document["topology"]["nodes"]["spoke-a"]
    assert (node["kind"], node["image"]) == ("cisco_c8000v", "vrnetlab/cisco_c8000v:17")
    assert node["restart-policy"] == "no"
    assert "interface Tunnel0" in found[node["startup-config"]]
    assert node["startup-config"] == "nodes/spoke-a/startup-config.partial"  # beside the kind's own users


def test_it_has_nothing_of_what_our_nodes_have(tmp_path: Path) -> None:
    _, document = rendered(mixed(tmp_path, spoke=C8000V))
    assert "defaults" not in document["topology"]
    assert "&id" not in yaml.safe_dump(document)
    nodes = document["topology"]["nodes"]
    assert not {"privileged", "cap-add", "tmpfs", "healthcheck", "sysctls", "network-mode"} & set(
        nodes["spoke-a"]
    )
    for name in ("hub", "spoke-b", "isp", "host-1"):
        assert nodes[name]["privileged"] is False
        assert nodes[name]["network-mode"] == "none"


def test_its_links_are_those_of_any_router(tmp_path: Path) -> None:
    _, document = rendered(mixed(tmp_path, spoke=C8000V))
    _, ours = rendered(mixed(tmp_path))
    assert document["topology"]["links"] == ours["topology"]["links"]


def test_a_text_is_filled_in_and_mounted_where_it_says(tmp_path: Path) -> None:
    found, document = rendered(mixed(tmp_path, spoke=TEXT))
    assert found["nodes/spoke-a/startup-config"] == (
        "tunnel 10.0.0.2/24 key 1 to 10.0.0.1 at 172.17.0.1\ncost 5$\n"
    )
    node = document["topology"]["nodes"]["spoke-a"]
    assert node["binds"] == ["nodes/spoke-a/startup-config:/config/boot:ro"]
    # containerlab expands $NAME by its own environment
    assert node["exec"] == ["ip address add 172.16.1.1/24 dev eth1", "echo $$HOME"]


def test_an_image_without_a_startup_configuration_just_gets_its_links(tmp_path: Path) -> None:
    found, document = rendered(mixed(tmp_path, spoke="implementation: external\n    external: {image: x}"))
    assert not [path for path in found if path.startswith("nodes/spoke-a")]
    assert set(document["topology"]["nodes"]["spoke-a"]) == {
        "kind", "image", "image-pull-policy", "restart-policy", "labels",
    }  # fmt: skip


def test_on_kubernetes_its_configuration_comes_from_a_config_map(tmp_path: Path) -> None:
    for piece, key in ((C8000V, "startup-config.partial"), (TEXT, "startup-config")):
        plan = mixed(tmp_path, spoke=piece)
        documents = clabernetes.manifests(plan, files(plan), "image")
        assert clabernetes.problems(documents) == []
        (config_map,) = [d for d in documents if d["metadata"]["name"] == "mixed-spoke-a-files"]
        assert set(config_map["data"]) == {key}
        node = yaml.safe_load(documents[-1]["spec"]["definition"]["containerlab"])["topology"]["nodes"][
            "spoke-a"
        ]
        assert "restart-policy" not in node
        staged = documents[-1]["spec"]["deployment"]["filesFromConfigMap"]["spoke-a"]
        source = node.get("startup-config") or node["binds"][0].partition(":")[0]
        assert [mount["filePath"] for mount in staged] == [source]


def test_our_hub_is_configured_as_for_one_of_ours(tmp_path: Path) -> None:
    assert files(mixed(tmp_path, spoke=C8000V))["hub"] == files(mixed(tmp_path))["hub"]


def test_without_it_the_rest_runs_anywhere(tmp_path: Path) -> None:
    plan = mixed(tmp_path, spoke=C8000V)
    with pytest.raises(UsageError):
        controller._require_runnable(plan, "netns")
    controller._require_runnable(part(plan, ["hub", "spoke-b"]), "netns")

"""The resources for clabernetes: what Kubernetes and its Topology take, and what it refuses.

The field names and types below are facts of the published resource definition, c9s.run/v1alpha1.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
import yaml

from dmvpn_lab.errors import LabError
from dmvpn_lab.render import clabernetes, containerlab
from dmvpn_lab.render.files import files
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.render.test_containerlab import TOPOLOGIES, plan_of, validator

MOUNT = {
    "type": "object",
    "properties": {
        "filePath": {"type": "string", "pattern": "^[^/].*"},
        "configMapName": {"type": "string"},
        "configMapPath": {"type": "string"},
        "mode": {"enum": ["read", "execute"]},
    },
    "required": ["filePath", "configMapName"],
    "additionalProperties": False,
}
SPEC = {
    "type": "object",
    "properties": {
        "naming": {"enum": ["prefixed", "non-prefixed", "global"]},
        "definition": {
            "type": "object",
            "properties": {"containerlab": {"type": "string"}},
            "required": ["containerlab"],
            "additionalProperties": False,
        },
        "expose": {
            "type": "object",
            "properties": {
                "disableExpose": {"type": "boolean"},
                "disableAutoExpose": {"type": "boolean"},
                "exposeType": {"enum": ["None", "ClusterIP", "Headless", "LoadBalancer"]},
            },
            "additionalProperties": False,
        },
        "statusProbes": {
            "type": "object",
            "properties": {"enabled": {"type": "boolean"}},
            "additionalProperties": False,
        },
        "deployment": {
            "type": "object",
            "properties": {
                "filesFromConfigMap": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": MOUNT},
                }
            },
            "additionalProperties": False,
        },
    },
    "required": ["definition", "naming"],
    "additionalProperties": False,
}


def manifests(topology: str = "hub-and-spoke") -> list[dict[str, Any]]:
    plan = plan_of(topology)
    return clabernetes.manifests(plan, files(plan), "registry/node:1")


def written(topology: str = "hub-and-spoke") -> list[dict[str, Any]]:
    """As kubectl would read them."""
    plan = plan_of(topology)
    (text,) = clabernetes.directory(plan, files(plan), "registry/node:1").values()
    return list(yaml.safe_load_all(text))


def definition(topology: str = "hub-and-spoke") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(written(topology)[-1]["spec"]["definition"]["containerlab"])
    return found


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_each_bundled_topology_is_a_namespace_its_config_maps_and_a_topology(topology: str) -> None:
    documents = written(topology)
    assert documents == manifests(topology)
    assert [d["kind"] for d in documents[:1]] == ["Namespace"]
    assert {d["kind"] for d in documents[1:-1]} == {"ConfigMap"}
    last = documents[-1]
    assert (last["apiVersion"], last["kind"]) == ("c9s.run/v1alpha1", "Topology")
    assert {d["metadata"]["namespace"] for d in documents[1:]} == {documents[0]["metadata"]["name"]}
    jsonschema.validate(last["spec"], SPEC)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_definition_is_a_containerlab_file_without_what_clabernetes_refuses(topology: str) -> None:
    document = definition(topology)
    assert [error.message for error in validator().iter_errors(document)] == []
    for settings in (document["topology"]["defaults"], *document["topology"]["nodes"].values()):
        assert not clabernetes.REFUSED & settings.keys()


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_each_file_of_a_node_comes_from_its_config_map_to_where_the_node_looks(topology: str) -> None:
    plan = plan_of(topology)
    documents = written(topology)
    data = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
    mounts = documents[-1]["spec"]["deployment"]["filesFromConfigMap"]
    nodes = definition(topology)["topology"]["nodes"]
    for node, texts in files(plan).items():
        arrived = {}
        staged = {m["filePath"]: data[m["configMapName"]][m["configMapPath"]] for m in mounts[node]}
        for bind in nodes[node]["binds"]:
            source, target, mode = bind.split(":")
            assert mode == "ro"
            arrived[target.removeprefix(containerlab.MOUNT)] = staged[source]
        assert arrived == {path: text for path, text in texts.items() if path != "/etc/hostname"}


def test_links_and_rights_are_those_of_containerlab() -> None:
    plan = plan_of("hub-and-spoke")
    there = containerlab.topology(plan, files(plan), "registry/node:1")["topology"]
    here = definition()["topology"]
    assert here["links"] == there["links"]
    for key in ("kind", "image", "cap-add", "privileged", "tmpfs"):
        assert here["defaults"][key] == there["defaults"][key]


def test_a_node_is_looked_at_often_because_nothing_else_tells_that_it_is_ready() -> None:
    plan = plan_of("hub-and-spoke")
    there = containerlab.topology(plan, files(plan), "registry/node:1")["topology"]["defaults"]
    here = definition()["topology"]["defaults"]
    assert here["healthcheck"]["test"] == there["healthcheck"]["test"]
    assert here["healthcheck"]["interval"] < there["healthcheck"]["interval"]


def test_no_service_of_the_cluster_shows_a_node_to_the_outside() -> None:
    assert manifests()[-1]["spec"]["expose"]["exposeType"] == "None"


def _a_stage(documents: list[dict[str, Any]]) -> None:
    _change(documents, lambda nodes: nodes["hub"].update(stages={}))


def _no_restart(documents: list[dict[str, Any]]) -> None:
    _change(documents, lambda nodes: nodes["hub"].update({"restart-policy": "no"}))


def _a_host_bind(documents: list[dict[str, Any]]) -> None:
    _change(documents, lambda nodes: nodes["hub"]["binds"].append("/etc/hosts:/x:ro"))


def _capitals(documents: list[dict[str, Any]]) -> None:
    _change(documents, lambda nodes: nodes.update(Hub=nodes.pop("hub")))


def _a_long_name(documents: list[dict[str, Any]]) -> None:
    documents[0]["metadata"]["name"] = "c9s-" + "l" * 60


def _too_much(documents: list[dict[str, Any]]) -> None:
    documents[1]["data"]["etc.more"] = "x" * clabernetes.CONFIG_MAP_LIMIT


def _a_slash(documents: list[dict[str, Any]]) -> None:
    documents[1]["data"]["etc/more"] = "x"


def _equal_keys(documents: list[dict[str, Any]]) -> None:
    mounts = documents[-1]["spec"]["deployment"]["filesFromConfigMap"]["hub"]
    mounts.append({**mounts[0], "filePath": "nodes/hub/other"})


def _change(documents: list[dict[str, Any]], spoil: Any) -> None:
    place = documents[-1]["spec"]["definition"]
    document = yaml.safe_load(place["containerlab"])
    spoil(document["topology"]["nodes"])
    place["containerlab"] = yaml.safe_dump(document)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_a_stage, "node hub: stages is refused"),
        (_no_restart, "node hub: restart-policy is refused"),
        (_a_host_bind, "node hub: no ConfigMap has /etc/hosts"),
        (_capitals, "node Hub: no RFC 1123 label"),
        (_a_long_name, "no RFC 1123 label of at most 63 characters"),
        (_too_much, "octets; it takes 950000"),
        (_a_slash, "'etc/more' is no key"),
        (_equal_keys, "two of its files have the same key"),
    ],
)
def test_what_the_cluster_would_refuse_is_told_before(spoil: Any, words: str) -> None:
    documents = copy.deepcopy(manifests())
    spoil(documents)
    assert words in "\n".join(clabernetes.problems(documents))


def test_a_file_that_no_config_map_takes_is_an_error_that_names_it() -> None:
    plan = plan_of("hub-and-spoke")
    texts = files(plan)
    texts["hub"]["/etc/large"] = "x" * clabernetes.CONFIG_MAP_LIMIT
    with pytest.raises(LabError, match="ConfigMap hub-and-spoke-hub-files"):
        clabernetes.directory(plan, texts, "image")


def test_the_longest_names_that_a_topology_allows_fit() -> None:
    plan = plan_of("hub-and-spoke")
    renamed = Plan(**{f: getattr(plan, f) for f in Plan.__dataclass_fields__} | {"lab": "l" * 32})
    assert clabernetes.directory(renamed, files(renamed), "image")

"""A file that `kubectl apply` takes: a lab as a Topology of clabernetes, with a ConfigMap a node.

clabernetes runs each node of a containerlab file as a pod. It takes less of that file than
containerlab does, so some things of a lab are different there: DIFFERENCES says which. Facts of its
own files, release 0.9 (API group c9s.run, version v1alpha1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from dmvpn_lab.errors import LabError
from dmvpn_lab.render import containerlab
from dmvpn_lab.spec.plan_types import Plan

NAME = "clabernetes"
API_VERSION = "c9s.run/v1alpha1"
CONFIG_MAP_LIMIT = 950_000
"""Octets of the files in one ConfigMap."""
HEALTH = {"interval": 10, "start-period": 120}
"""Nothing but the health check tells there that a node is ready."""
RESOURCE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""An RFC 1123 label: names of namespaces and pods."""
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
"""A key of a ConfigMap."""
REFUSED = frozenset(
    {"stages", "restart-policy", "network-mode", "runtime", "pid-mode", "cpu-set", "auto-remove",
     "cgroupns-mode", "credentials"}
)  # fmt: skip
"""Node keys that clabernetes refuses, or refuses with the values that a lab needs."""

DIFFERENCES = (
    "network-mode none is refused: each node also has a management interface, eth0, in the cluster",
    "restart-policy no is refused: a node that ends is started again, with its links, but without its state",
    "a folder cannot be mounted: each file of a node is a key of its ConfigMap, mounted by itself",
    "deploy does not wait: a node is ready when its health check says so (kubectl get pods)",
    "adopt, verify, inject, show and capture do not reach into pods: kubectl exec runs commands there",
    "files come from ConfigMaps only: keys and certificates of a protected lab lie there, not in Secrets",
    "links between workers are tunnels of the cluster's: their packets need 50 octets more there",
)
"""What a lab has with containerlab and has not here, a line each."""


def file_name(plan: Plan) -> str:
    """The name of the file."""
    return f"{plan.lab}.c9s.yml"


def namespace(plan: Plan) -> str:
    """The lab's own namespace: all of it goes with `kubectl delete namespace`."""
    return f"c9s-{plan.lab}"


def directory(plan: Plan, files: Mapping[str, Mapping[str, str]], image: str) -> dict[str, str]:
    """Relative path -> text. Raises LabError when clabernetes would refuse it."""
    documents = manifests(plan, files, image)
    if wrong := problems(documents):
        raise LabError("clabernetes would refuse this lab:\n" + "\n".join(wrong))
    return {file_name(plan): yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False)}


def manifests(plan: Plan, files: Mapping[str, Mapping[str, str]], image: str) -> list[dict[str, Any]]:
    """The resources as data, in the order in which they are needed."""
    own = containerlab.mounted(files)
    maps = [_config_map(plan, node, texts) for node, texts in own.items() if texts]
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(plan)}}
    return [space, *maps, _topology(plan, own, definition(plan, files, image))]


def definition(plan: Plan, files: Mapping[str, Mapping[str, str]], image: str) -> dict[str, Any]:
    """The containerlab file as clabernetes takes it."""
    document = containerlab.topology(plan, files, image)
    own = containerlab.mounted(files)
    topology = document["topology"]
    for section in (topology.get("defaults", {}), *topology["nodes"].values()):
        for key in REFUSED & section.keys():
            del section[key]
        if "healthcheck" in section:
            section["healthcheck"] = section["healthcheck"] | HEALTH
    for name, node in topology["nodes"].items():
        if plan.node(name).external is None:
            node["binds"] = [f"{path}:{containerlab.target(name, path)}:ro" for path in own[name]]
        node.get("labels", {}).pop(containerlab.BACKEND_LABEL, None)
    return document


def _config_map(plan: Plan, node: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": _map_name(plan, node),
            "namespace": namespace(plan),
            "labels": {containerlab.LAB_LABEL: plan.lab, containerlab.NODE_LABEL: node},
        },
        "data": {_key(path): text for path, text in texts.items()},
    }


def _topology(plan: Plan, own: Mapping[str, Mapping[str, str]], document: dict[str, Any]) -> dict[str, Any]:
    mounts = {
        node: [
            {
                "filePath": path,
                "configMapName": _map_name(plan, node),
                "configMapPath": _key(path),
                "mode": "read",
            }
            for path in texts
        ]
        for node, texts in own.items()
        if texts
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Topology",
        "metadata": {
            "name": plan.lab,
            "namespace": namespace(plan),
            "labels": {containerlab.LAB_LABEL: plan.lab},
        },
        "spec": {
            "definition": {"containerlab": yaml.safe_dump(document, sort_keys=False)},
            "naming": "non-prefixed",  # the namespace is the lab's own: a pod is named as its node
            "expose": {"exposeType": "None", "disableAutoExpose": True},
            "statusProbes": {"enabled": True},
            "deployment": {"filesFromConfigMap": mounts},
        },
    }


def _map_name(plan: Plan, node: str) -> str:
    return f"{plan.lab}-{node}-files"


def _key(path: str) -> str:
    """The key of a file: its path with dots, without the two folders that all have in common."""
    return path.split("/", 2)[2].replace("/", ".")


def problems(documents: list[dict[str, Any]]) -> list[str]:
    """What the cluster or clabernetes refuses, in words."""
    found = []
    topology = documents[-1]
    for document in documents:
        name = document["metadata"]["name"]
        if document["kind"] != "ConfigMap":
            if not RESOURCE_NAME.fullmatch(name):
                found.append(f"{document['kind']} {name}: no RFC 1123 label of at most 63 characters")
            continue
        octets = sum(len(text.encode()) for text in document["data"].values())
        if octets > CONFIG_MAP_LIMIT:
            found.append(f"ConfigMap {name}: {octets} octets; it takes {CONFIG_MAP_LIMIT}")
        bad = [key for key in document["data"] if not KEY.fullmatch(key)]
        found += [f"ConfigMap {name}: {key!r} is no key" for key in bad]
    for node, mounts in topology["spec"]["deployment"]["filesFromConfigMap"].items():
        if len({mount["configMapPath"] for mount in mounts}) != len(mounts):
            found.append(f"node {node}: two of its files have the same key")
    return found + _definition_problems(topology["spec"])


def _definition_problems(spec: Mapping[str, Any]) -> list[str]:
    topology = yaml.safe_load(spec["definition"]["containerlab"])["topology"]
    mounts = spec["deployment"]["filesFromConfigMap"]
    found = []
    for name, node in topology["nodes"].items():
        if not RESOURCE_NAME.fullmatch(name):
            found.append(f"node {name}: no RFC 1123 label")
        settings = {**topology.get("defaults", {}), **node}
        found += [f"node {name}: {key} is refused" for key in sorted(REFUSED & settings.keys())]
        staged = {mount["filePath"] for mount in mounts.get(name, ())}
        sources = [bind.partition(":")[0] for bind in settings.get("binds", ())]
        sources += [settings["startup-config"]] if "startup-config" in settings else []
        found += [f"node {name}: no ConfigMap has {path}" for path in sources if path not in staged]
    seen: set[str] = set()
    for link in topology["links"]:
        found += containerlab.link_problems(link["endpoints"], topology["nodes"], seen)
    return found


class _Dumper(yaml.SafeDumper):
    """Files as blocks, so that a person can read them."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

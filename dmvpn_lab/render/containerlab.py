"""A directory that `containerlab deploy` takes as it is: the topology file, and each node's files.

    LAB.clab.yml           nodes, links
    nodes/NODE/PATH        mounted read-only; the node's first process copies them to their places
    topology.yml           the lab's own topology, for `dmvpn-lab adopt`

The binary reads the file strictly, and its published schema leaves much unsaid, so `problems` says
the rest. Facts of its own files, release 0.79.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dmvpn_lab.errors import HostError, LabError, UsageError
from dmvpn_lab.render import external
from dmvpn_lab.render import node as render_node
from dmvpn_lab.rights import CAPABILITIES
from dmvpn_lab.spec.plan_types import Plan

MOUNT = "/opt/dmvpn-lab/node"
HOSTNAME = "/etc/hostname"
"""Docker's own, mounted."""
READY = "/run/dmvpn-lab/ready"
NODES, TOPOLOGY, SUFFIX = "nodes", "topology.yml", ".clab.yml"
LAB_LABEL, NODE_LABEL, BACKEND_LABEL = "dmvpn-lab.lab", "dmvpn-lab.node", "dmvpn-lab.backend"
NAME = "containerlab"
INTERFACE = re.compile(r"[^\s/]{1,15}")
NODE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
HEALTH_INTERVAL_S, HEALTH_STEP_S = 60, 10
"""Between two looks of Docker at a node, and between those at two nodes of a lab, at the least. Each is a
program that Docker starts in the container: fifty nodes that are looked at often keep two processors busy."""
HEALTH_START_S = 1
"""While this lasts Docker looks every five seconds at a node that is not ready, which then takes longer."""
CONTAINER_NAME_LIMIT = 63
"""Characters of a host name."""
GIVEN_BY_DOCKER = frozenset(
    {
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "KILL",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""containerlab adds capabilities to Docker's own set; it cannot drop one."""


def topology_file(plan: Plan) -> str:
    """The name of the topology file in the directory."""
    return f"{plan.lab}{SUFFIX}"


def directory(plan: Plan, files: Mapping[str, Mapping[str, str]], image: str) -> dict[str, str]:
    """Relative path -> text. Raises LabError when containerlab would refuse it."""
    found = {path: text for texts in mounted(files).values() for path, text in texts.items()}
    document = topology(plan, files, image) | {"mgmt": {"skip-when-unused": True}}  # since release 0.76
    if wrong := problems(document, found):
        raise LabError("containerlab would refuse this lab:\n" + "\n".join(wrong))
    found[topology_file(plan)] = yaml.safe_dump(document, sort_keys=False)
    return found


def mounted(files: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Node -> path in the directory -> text, of the files that a node is given."""
    return {
        node: {f"nodes/{node}{path}": text for path, text in texts.items() if path != HOSTNAME}
        for node, texts in files.items()
    }


def target(node: str, path: str) -> str:
    """Where a file of the directory is in its node when it is mounted by itself."""
    return MOUNT + path.removeprefix(f"nodes/{node}")


def topology(plan: Plan, files: Mapping[str, Mapping[str, str]], image: str) -> dict[str, Any]:
    """The topology file as data."""
    common = _defaults(image, len(plan.nodes))
    mixed = any(each.external is not None for each in plan.nodes)
    nodes = {}
    for each in plan.nodes:
        if each.external is not None:
            nodes[each.name] = external.entry(plan, each, each.external)
        else:
            own = _node(each.name, files[each.name])
            nodes[each.name] = copy.deepcopy(common) | own if mixed else own
        labels = {LAB_LABEL: plan.lab, NODE_LABEL: each.name, BACKEND_LABEL: NAME}
        nodes[each.name]["labels"] = labels
    return {
        "name": plan.lab,
        "topology": {
            # What another image must not have cannot be taken from it again: no defaults then.
            **({} if mixed else {"defaults": common}),
            "nodes": nodes,
            "links": [
                {"endpoints": [f"{link.a.node}:{link.a.interface}", f"{link.b.node}:{link.b.interface}"]}
                for link in plan.links
            ],
        },
    }


def _defaults(image: str, nodes: int) -> dict[str, Any]:
    """What all nodes share."""
    return {
        "kind": "linux",
        "image": image,
        "image-pull-policy": "IfNotPresent",
        "network-mode": "none",  # the lab's addresses stay the lab's
        "restart-policy": "no",  # a container that is started again has lost its links
        "privileged": False,
        "cap-add": [name for name in CAPABILITIES if name not in GIVEN_BY_DOCKER],
        "tmpfs": {"/run": "mode=755"},
        "healthcheck": {
            "test": ["CMD", "test", "-e", READY],
            "interval": health_interval_s(nodes),
            "timeout": 10,
            "retries": 3,
            "start-period": HEALTH_START_S,
        },
    }


def health_interval_s(nodes: int) -> int:
    """Between two looks of Docker at a node of a lab of so many."""
    return max(HEALTH_INTERVAL_S, HEALTH_STEP_S * nodes)


def _node(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "binds": [f"nodes/{name}:{MOUNT}:ro"],
        "sysctls": json.loads(files[render_node.PATH])["sysctls"],
    }


def problems(document: Mapping[str, Any], files: Mapping[str, str]) -> list[str]:
    """What containerlab refuses, or does wrong, beyond its schema; in words."""
    found = []
    topology = document["topology"]
    nodes = topology["nodes"]
    for name, node in nodes.items():
        if not NODE.fullmatch(name) or len(f"clab-{document['name']}-{name}") > CONTAINER_NAME_LIMIT:
            found.append(f"node {name}: 'clab-{document['name']}-{name}' is no container name")
        settings = {**topology.get("defaults", {}), **(node or {})}
        if settings.get("restart-policy") != "no":
            found.append(f"node {name}: a restart policy brings it back without its links")
        if settings.get("privileged") is not False and MOUNT in str(settings.get("binds")):
            found.append(f"node {name}: privileged, unless it says false")
        sources = [bind.partition(":")[0] for bind in settings.get("binds", ())]
        sources += [settings["startup-config"]] if "startup-config" in settings else []
        for source in sources:
            if not any(path.startswith(f"{source}/") or path == source for path in files):
                found.append(f"node {name}: nothing to mount at {source}")
    seen: set[str] = set()
    for link in topology["links"]:
        found += link_problems(link["endpoints"], nodes, seen)
    return found


def link_problems(endpoints: list[str], nodes: Mapping[str, Any], seen: set[str]) -> list[str]:
    """What is wrong with one link, in words; `seen` are the ends of those before, and grows."""
    found = []
    if len(endpoints) != 2:
        found.append(f"link {endpoints}: {len(endpoints)} ends")
    for endpoint in endpoints:
        node, _, interface = endpoint.partition(":")
        if node not in nodes:
            found.append(f"link end {endpoint}: no such node")
        if not INTERFACE.fullmatch(interface):
            found.append(f"link end {endpoint}: {interface!r} is no interface name")
        if endpoint in seen:
            found.append(f"link end {endpoint}: used twice")
        seen.add(endpoint)
    return found


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write a rendered directory. What an earlier rendering of the same lab has left over is removed.

    Raises UsageError for a directory of another lab, or with other things in these places; HostError.
    """
    own = next(name for name in files if name.endswith(SUFFIX))
    try:
        _refuse_others(folder, own, files)
        for old in sorted((folder / NODES).rglob("*"), reverse=True):  # what is in a folder before it
            if old.is_dir() and not any(old.iterdir()):
                old.rmdir()
            elif not old.is_dir() and str(old.relative_to(folder)) not in files:
                old.unlink()
        for name in sorted(files, key=lambda name: name != own):  # first what tells whose directory it is
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name])
    except OSError as error:
        where = error.filename or folder
        raise HostError(f"cannot write {where}: {error.strerror}", hint="name another directory") from error


def _refuse_others(folder: Path, own: str, files: Mapping[str, str]) -> None:
    """Raises UsageError when the directory is not this lab's. `own` is its topology file."""
    others = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if path.name != own]
    if not others and not (folder / own).exists():
        nodes, topology = folder / NODES, folder / TOPOLOGY
        if topology.is_file() and topology.read_bytes() != files.get(TOPOLOGY, "").encode():
            others = [topology]
        if nodes.is_dir() and any(nodes.iterdir()):
            others = [nodes]
    if others:
        raise UsageError(
            f"{folder} has {others[0].name} already, which is not this lab's",
            hint="name an empty directory, or a new one, with --output",
        )

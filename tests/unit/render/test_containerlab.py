"""The directory for containerlab: its published schema, and the rules that the schema lacks."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dmvpn_lab import controller
from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.render import containerlab
from dmvpn_lab.render.files import files
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import Plan

SCHEMA = Path(__file__).parents[2] / "vectors" / "containerlab" / "clab.schema.json"
TOPOLOGIES = sorted(path.stem for path in controller.bundled_topologies().glob("*.yml"))


def plan_of(topology: str) -> Plan:
    return planner.read(controller.find_topology(topology))


def rendered(topology: str = "hub-and-spoke") -> dict[str, str]:
    plan = plan_of(topology)
    return containerlab.directory(plan, files(plan), "dmvpn-lab/node:1")


def document(topology: str = "hub-and-spoke") -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(rendered(topology)[f"{plan_of(topology).lab}.clab.yml"])
    return data


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    schema.pop("$schema")
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_each_bundled_topology_satisfies_the_published_schema(topology: str) -> None:
    errors = [error.message for error in validator().iter_errors(document(topology))]
    assert errors == []


def test_the_schema_refuses_a_key_that_it_does_not_know() -> None:
    wrong = document()
    wrong["topology"]["nodes"]["hub"]["nhrp"] = True
    assert not validator().is_valid(wrong)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_each_bundled_topology_keeps_the_rules_that_the_schema_lacks(topology: str) -> None:
    assert containerlab.problems(document(topology), rendered(topology)) == []


def test_every_file_of_a_node_is_below_the_folder_that_is_mounted() -> None:
    plan = plan_of("hub-and-spoke")
    found = rendered()
    for node, texts in files(plan).items():
        for path, text in texts.items():
            if path != "/etc/hostname":
                assert found[f"nodes/{node}{path}"] == text


def test_nodes_have_capabilities_and_no_privilege_no_restart_and_no_network_of_dockers() -> None:
    defaults = document()["topology"]["defaults"]
    assert defaults["privileged"] is False
    assert defaults["restart-policy"] == "no"
    assert defaults["network-mode"] == "none"
    assert set(defaults["cap-add"]) == {"NET_ADMIN", "SYS_ADMIN"}


def test_no_management_network_is_made_for_a_lab_that_does_not_use_it() -> None:
    assert document()["mgmt"] == {"skip-when-unused": True}


def test_the_more_nodes_a_lab_has_the_less_often_docker_looks_at_each() -> None:
    looked_at = document()["topology"]["defaults"]["healthcheck"]
    assert looked_at["start-period"] < containerlab.HEALTH_STEP_S  # while it lasts Docker looks all the time
    assert looked_at["interval"] == 70  # of seven nodes
    assert [containerlab.health_interval_s(nodes) for nodes in (1, 6, 55)] == [60, 60, 550]


def _two_ends_on_one_interface(topology: dict[str, Any]) -> None:
    topology["links"].append({"endpoints": ["hub:eth1", "spoke-a:eth9"]})


def _a_link_to_nowhere(topology: dict[str, Any]) -> None:
    topology["links"][0]["endpoints"][0] = "nobody:eth1"


def _a_long_interface(topology: dict[str, Any]) -> None:
    topology["links"][0]["endpoints"][0] = "hub:interface-number-1"


def _three_ends(topology: dict[str, Any]) -> None:
    topology["links"][0]["endpoints"].append("hub:eth7")


def _a_restart_policy(topology: dict[str, Any]) -> None:
    del topology["defaults"]["restart-policy"]


def _privileged(topology: dict[str, Any]) -> None:
    del topology["defaults"]["privileged"]


def _nothing_to_mount(topology: dict[str, Any]) -> None:
    topology["nodes"]["hub"]["binds"] = ["nodes/hbu:/x"]


def _a_long_name(topology: dict[str, Any]) -> None:
    topology["nodes"]["n" * 60] = {}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_two_ends_on_one_interface, "hub:eth1: used twice"),
        (_a_link_to_nowhere, "nobody:eth1: no such node"),
        (_a_long_interface, "'interface-number-1' is no interface name"),
        (_three_ends, "3 ends"),
        (_a_restart_policy, "without its links"),
        (_privileged, "privileged"),
        (_nothing_to_mount, "nothing to mount at nodes/hbu"),
        (_a_long_name, "is no container name"),
    ],
)
def test_what_containerlab_would_refuse_is_told_before(spoil: Any, words: str) -> None:
    wrong = copy.deepcopy(document())
    spoil(wrong["topology"])
    assert words in "\n".join(containerlab.problems(wrong, rendered()))


def test_a_lab_whose_container_names_are_too_long_is_not_written() -> None:
    plan = plan_of("hub-and-spoke")
    long = Plan(**{f: getattr(plan, f) for f in Plan.__dataclass_fields__} | {"lab": "l" * 60})
    with pytest.raises(LabError, match="is no container name"):
        containerlab.directory(long, files(plan), "image")


def test_writing_again_removes_files_that_are_no_more(tmp_path: Path) -> None:
    containerlab.write(tmp_path, {"x.clab.yml": "1", "nodes/a/etc/x": "1", "nodes/b/etc/x": "1"})
    containerlab.write(tmp_path, {"x.clab.yml": "2", "nodes/a/etc/x": "2"})
    assert (tmp_path / "x.clab.yml").read_text() == "2"
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "nodes", "nodes/a", "nodes/a/etc", "nodes/a/etc/x", "x.clab.yml",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "there", [{"y.clab.yml": "1", "nodes/y/x": "1"}, {"nodes/main.c": "1"}, {"topology.yml": "of mine"}]
)
def test_a_directory_with_another_lab_or_with_files_of_ones_own_is_refused_and_stays_as_it_is(
    tmp_path: Path, there: dict[str, str]
) -> None:
    for name, text in there.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=f"has {next(iter(there)).partition('/')[0]} already") as caught:
        containerlab.write(tmp_path, {"nodes/a/x": "2", "x.clab.yml": "2", "topology.yml": "2"})
    assert "--output" in (caught.value.hint or "")
    left = {
        str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert left == there


def test_a_topology_may_be_rendered_where_it_is_and_again_after_a_rendering_that_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "topology.yml").write_text("mine")
    wanted = {"nodes/a/x": "1", "x.clab.yml": "1", "topology.yml": "mine"}

    def killed(self: Path, text: str) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        write = Path.write_text
        cut.setattr(
            Path, "write_text", lambda self, text: (killed if self.name == "x" else write)(self, text)
        )
        with pytest.raises(KeyboardInterrupt):
            containerlab.write(tmp_path, wanted)
    containerlab.write(tmp_path, wanted)
    assert (tmp_path / "nodes/a/x").read_text() == "1"

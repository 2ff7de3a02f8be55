"""`render`: a lab for other programs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dmvpn_lab.render import clabernetes
from tests.unit.cli.conftest import Run
from tests.unit.render.externals import C8000V, mixed

DOCS = Path(__file__).parents[3] / "docs" / "containers.md"


def test_for_clabernetes_each_difference_is_told_and_stands_in_the_docs(run: Run, tmp_path: Path) -> None:
    said = run("render", "--to", "clabernetes", "--output", str(tmp_path / "k8s"), "hub-and-spoke")
    assert said.code == 0
    docs = " ".join(DOCS.read_text().split())
    for difference in clabernetes.DIFFERENCES:
        assert f"- {difference}" in said.out
        assert difference in docs
    assert [path.name for path in (tmp_path / "k8s").iterdir()] == ["hub-and-spoke.c9s.yml"]


def test_an_image_of_a_registry_is_every_nodes_image(run: Run, tmp_path: Path) -> None:
    options = ("--image", "registry.test/node:1", "--output", str(tmp_path))
    said = run("render", "--to", "clabernetes", *options, "hub-and-spoke")
    assert said.code == 0
    assert "the workers must have" not in said.out
    topology = list(yaml.safe_load_all((tmp_path / "hub-and-spoke.c9s.yml").read_text()))[-1]
    assert "image: registry.test/node:1" in topology["spec"]["definition"]["containerlab"]


def test_a_directory_for_containerlab_says_how_it_is_deployed_and_adopted(run: Run, tmp_path: Path) -> None:
    said = run("render", "--output", str(tmp_path / "lab"), "phase-1")
    assert said.code == 0
    assert f"containerlab deploy --topo {tmp_path / 'lab'}/phase-1.clab.yml" in "".join(said.out.split("\n"))
    assert (tmp_path / "lab" / "topology.yml").is_file()


def test_two_labs_in_one_directory_are_refused_and_kubernetes_takes_nothing_of_it_away(
    run: Run, tmp_path: Path
) -> None:
    assert run("render", "--output", str(tmp_path), "phase-1").code == 0
    before = sorted(tmp_path.rglob("*"))
    said = run("render", "--output", str(tmp_path), "phase-3")
    assert said.code == 2
    assert "has phase-1.clab.yml already, which is not this lab's" in said.err
    assert sorted(tmp_path.rglob("*")) == before
    assert run("render", "--to", "clabernetes", "--output", str(tmp_path), "phase-1").code == 0
    assert run("render", "--output", str(tmp_path), "phase-1").code == 0
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "phase-1.c9s.yml"])


@pytest.mark.parametrize("command", ["render --output {}/lab phase-1", "graph --output {}/x.svg phase-1"])
def test_a_place_that_cannot_be_written_is_told_in_a_line(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    said = run(*command.format(tmp_path / "file").split())
    assert said.code == 3
    assert f"cannot write {tmp_path / 'file'}" in said.err


@pytest.mark.parametrize("backend", ["netns", "docker"])
def test_other_backends_refuse_it_and_say_what_to_do(run: Run, tmp_path: Path, backend: str) -> None:
    mixed(tmp_path, spoke=C8000V)
    said = run("up", "--backend", backend, str(tmp_path / "mixed.yml"))
    assert said.code == 2
    assert f"spoke-a: an external router runs with containerlab only, not on {backend}" in said.err
    assert "--backend containerlab, or leave it out with --node-filter" in said.err

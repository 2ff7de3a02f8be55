"""The labs that are measured are labs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dmvpn_lab.spec import plan as planner
from tests.bench.backends import SPOKES, Size, overhead, parent, topology, tree
from tests.bench.figures import Figure


@pytest.mark.parametrize("spokes", SPOKES)
def test_each_size_is_a_hub_and_as_many_spokes_three_with_a_host(tmp_path: Path, spokes: int) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(topology(Size("docker", spokes)))
    plan = planner.read(path)
    assert plan.lab == f"bench-docker-{spokes}"
    assert len(plan.members("dmvpn", "spoke")) == spokes
    assert [node.kind for node in plan.nodes].count("host") == 3


def test_a_node_is_its_first_process_and_all_below_it() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        found = tree(shell.pid)
        shell_parent = parent(shell.pid)
        for pid in found:
            os.kill(pid, 9)
    assert len(found) == 2
    assert shell_parent == os.getpid()


def test_overhead_is_told_of_each_backend_to_the_mean_of_dockers_own() -> None:
    found = {name: [Figure(name, "until links", 1.0, "s"), Figure(name, "up", up_s, "s")]
             for name, up_s in (("netns", 3.0), ("docker", 15.0))}  # fmt: skip
    figures = overhead(3, found, [9.0, 11.0])
    assert [(each.name, each.value, each.met) for each in figures] == [
        ("by docker run and ip link", 10.0, None),
        ("up on netns, of that", 0.3, True),
        ("up on docker, of that", 1.5, False),
    ]

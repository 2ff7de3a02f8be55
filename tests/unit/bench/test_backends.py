"""The labs that are measured are labs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dmvpn_lab.spec import plan as planner
from tests.bench.backends import SPOKES, Size, parent, topology, tree


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

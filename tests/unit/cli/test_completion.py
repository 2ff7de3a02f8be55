"""Completion in the shell, as the shell asks for it: `dmvpn-lab --install-completion` sets it up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dmvpn_lab.cli.options import complete_node
from dmvpn_lab.spec.plan_types import Plan


def completed(line: str, shell: str = "complete_bash") -> list[str]:
    """What there is for the last word of a line."""
    words = line.split(" ")
    environment = {**os.environ, "_DMVPN_LAB_COMPLETE": shell, "COMP_WORDS": line,
                   "COMP_CWORD": str(len(words) - 1)}  # fmt: skip
    # prog_name decides the variable's name, as the installed script's does
    code = "import sys; sys.argv = ['dmvpn-lab']; from dmvpn_lab.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dmvpn-lab in", ["inject", "inspect"]),
        ("dmvpn-lab up ips", ["ipsec", "ipsec-certificates", "ipsec-deck"]),
        ("dmvpn-lab up --backend doc", ["docker"]),
    ],
)
def test_commands_topologies_and_options_are_completed(line: str, words: list[str]) -> None:
    found = completed(line)
    assert set(words) <= set(found)
    assert all(word.startswith(line.rpartition(" ")[2]) for word in found)


def test_nodes_are_those_of_the_only_lab_that_runs(deck: Plan) -> None:
    assert complete_node("spoke") == ["spoke-a", "spoke-b"]


def test_without_a_lab_no_node_is_completed(run: object) -> None:
    assert complete_node("") == []

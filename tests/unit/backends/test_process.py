"""Starting the node side: one request in, one answer a node out, an error when it dies."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dmvpn_lab.backends.process import NodePython
from dmvpn_lab.errors import LabError


def python(code: str) -> NodePython:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    return NodePython(process.pid, process.stdin, process.stdout, process.wait)


def test_every_line_of_the_answer_is_given_back() -> None:
    code = "import json; r = json.loads(input()); [print(json.dumps({'node': n})) for n in r['nodes']]"
    assert python(code).ask({"nodes": ["a", "b"]}) == [{"node": "a"}, {"node": "b"}]


def test_a_parent_that_fails_is_an_error_of_the_lab() -> None:
    with pytest.raises(LabError, match="failed with 3"):
        python("import sys; input(); sys.exit(3)").ask({})


def test_a_parent_that_dies_before_it_reads_is_an_error_of_the_lab() -> None:
    with pytest.raises(LabError, match="failed with"):
        python("import os; os._exit(4)").ask({"padding": "x" * 1_000_000})

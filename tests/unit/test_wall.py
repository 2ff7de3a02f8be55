"""The wall between lab side and node side, as it is at run time and as the contracts say it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dmvpn_lab

PACKAGE = Path(dmvpn_lab.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {each["name"]: each for each in PROJECT["tool"]["importlinter"]["contracts"]}
HEAVY = ("pydantic", "typer", "rich", "yaml", "click")
NODE_SIDE = ["dmvpn_lab.node.warm", "dmvpn_lab.node.init", "dmvpn_lab.daemon.service"]
LAB_SIDE = ["dmvpn_lab.cli.app", "dmvpn_lab.controller"]


def loaded_by(module: str) -> set[str]:
    """Everything that is imported with a module."""
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def packages(*contracts: str) -> set[str]:
    return {name for each in contracts for name in CONTRACTS[each]["source_modules"]}


LAB_WALL = "The wall: the lab side knows nothing of the node side"
NODE_WALL = "The wall: the node side is lean and knows nothing of the lab side"


@pytest.mark.parametrize("module", NODE_SIDE)
def test_the_node_side_loads_nothing_of_the_lab_side(module: str) -> None:
    loaded = loaded_by(module)
    assert loaded.isdisjoint(HEAVY)
    assert not [name for name in loaded if name.startswith(tuple(packages(LAB_WALL)))]


@pytest.mark.parametrize("module", LAB_SIDE)
def test_the_lab_side_loads_nothing_of_the_node_side(module: str) -> None:
    assert not [name for name in loaded_by(module) if name.startswith(tuple(packages(NODE_WALL)))]


def test_the_protocol_core_loads_no_sockets_and_no_loop() -> None:
    loaded = loaded_by("dmvpn_lab.nhrp.agent")
    assert loaded.isdisjoint({"asyncio", "socket", "select", "logging", "pyroute2"})


def test_each_package_stands_on_one_side_of_the_wall() -> None:
    """A new package has to be added to the contracts, or nothing watches it."""
    there = {f"dmvpn_lab.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")
             if not path.parent.name.startswith("_")}  # fmt: skip
    apart = {"dmvpn_lab.machine"}
    lab, node = packages(LAB_WALL), packages(NODE_WALL)
    assert lab.isdisjoint(node)
    assert there - apart <= lab | node
    assert apart <= set(CONTRACTS[NODE_WALL]["forbidden_modules"])


def test_importing_anything_does_nothing() -> None:
    """No module prints, reads a terminal or opens a socket when it is imported."""
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
    ]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *names], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

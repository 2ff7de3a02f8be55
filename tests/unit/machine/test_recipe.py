"""The recipe: what is built, and the digest that says whether it must be built again."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

import pytest

from dmvpn_lab.machine import recipe
from dmvpn_lab.machine.recipe import load


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `images/` to change."""
    folder = tmp_path / "images"
    shutil.copytree(recipe.images_folder(), folder)
    monkeypatch.setattr(recipe, "images_folder", lambda: folder)
    return folder


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_digests_stay_while_nothing_changes(images: Path) -> None:
    assert load() == load()
    shutil.copytree(images / "machine", images / "machine" / "__pycache__")
    assert load().machine_digest == load().machine_digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"frr"', '"frr", "bird2"'),
        ('suite = "trixie"', 'suite = "sid"'),
        ('["vici"]', '["vici", "attrs"]'),
    ],
)
def test_a_change_of_the_nodes_changes_both(images: Path, old: str, new: str) -> None:
    before = load()
    change(images / "packages.toml", old, new)
    after = load()
    assert after.node_digest != before.node_digest
    assert after.machine_digest != before.machine_digest


@pytest.mark.parametrize(
    ("old", "new"),
    [('"sch_netem"', '"sch_tbf"'), ('"busybox-static"', '"busybox"'), ('"hypothesis"', '"attrs"')],
)
def test_a_change_of_the_machine_leaves_the_nodes(images: Path, old: str, new: str) -> None:
    before = load()
    change(images / "packages.toml", old, new)
    after = load()
    assert after.node_digest == before.node_digest
    assert after.machine_digest != before.machine_digest


@pytest.mark.parametrize("script", ["init", "resident/relay.py", "initramfs-init"])
def test_a_change_of_a_script_changes_the_machine(images: Path, script: str) -> None:
    before = load()
    with (images / "machine" / script).open("a") as file:
        file.write("# changed\n")
    assert load().machine_digest != before.machine_digest
    assert load().node_digest == before.node_digest


def test_a_comment_changes_nothing(images: Path) -> None:
    before = load()
    change(images / "packages.toml", "[node]", "# a comment\n[node]")
    assert load() == before


def test_python_libraries_have_the_versions_of_the_constraints() -> None:
    pinned = recipe.constraints_file().read_text().splitlines()
    chosen = load()
    assert {*chosen.node_python, *chosen.machine_python} <= set(pinned)
    assert "vici" in {each.partition("==")[0] for each in chosen.node_python}


def test_what_is_installed_here_changes_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    assert load() == before


def test_another_version_of_a_library_is_another_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load()
    other = tmp_path / "constraints.txt"
    shutil.copy(recipe.constraints_file(), other)
    change(other, "vici==", "vici==99.")
    monkeypatch.setattr(recipe, "constraints_file", lambda: other)
    assert load().node_digest != before.node_digest


def test_a_library_without_a_constraint_is_not_pinned(images: Path) -> None:
    change(images / "packages.toml", '["vici"]', '["vici", "no-such-library"]')
    assert "no-such-library" in load().node_python

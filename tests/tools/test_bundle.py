"""The bundle installs without a network, and only when it is whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
OFFLINE = """
ip link set lo up && "$1"/install "$HOME/program" && cd / &&
"$HOME/program/venv/bin/dmvpn-lab" up hub-and-spoke; code=$?
"$HOME/program/venv/bin/dmvpn-lab" down --all; "$HOME/program/venv/bin/dmvpn-lab" machine stop
exit $code
"""


def environment(home: Path) -> dict[str, str]:
    """Ours, but for another user's home, and nothing that names this checkout's cache."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("DMVPN_LAB", "XDG_"))}
    return ours | {"HOME": str(home)}


def install(stick: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [str(stick / "install"), *arguments]
    return subprocess.run(argv, env=environment(home), capture_output=True, text=True, check=False)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A bundle with nothing in it but a sum that is not true."""
    folder = tmp_path / "stick"
    folder.mkdir()
    shutil.copy(TOP / "tools" / "bundle-install", folder / "install")
    (folder / "README.md").write_text("damaged")
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  README.md\n")
    return folder


def test_a_damaged_bundle_is_refused_before_anything_is_written(stick: Path, tmp_path: Path) -> None:
    done = install(stick, tmp_path, str(tmp_path / "program"))
    assert done.returncode == 3
    assert "README.md: FAILED" in done.stderr
    assert "copy the bundle again" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stick"]


def test_two_folders_are_a_usage_error(stick: Path, tmp_path: Path) -> None:
    done = install(stick, tmp_path, "one", "two")
    assert done.returncode == 2
    assert "usage: ./install [FOLDER]" in done.stderr


@pytest.mark.long
@pytest.mark.root
def test_a_lab_is_verified_from_the_bundle_without_a_network(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(TOP / "tools" / "make-bundle")], cwd=TOP, check=True)
    (bundle,) = (TOP / "dist").glob("dmvpn-lab-*.tar")
    with tarfile.open(bundle) as archive:
        archive.extractall(tmp_path, filter="tar")
    bundle.unlink()
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", OFFLINE, "sh", str(tmp_path / bundle.stem)],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hub-and-spoke: verified" in done.stdout + done.stderr

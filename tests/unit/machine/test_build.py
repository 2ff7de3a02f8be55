"""Building: nothing half is left, nothing begins without room, tools' words are passed on."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from dmvpn_lab.errors import HostError
from dmvpn_lab.machine import build
from dmvpn_lab.machine.build import KEEP_S, _run, _under_construction
from dmvpn_lab.machine.recipe import load as load_recipe
from tests.unit.machine.test_cpio import entries


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DMVPN_LAB_CACHE", str(tmp_path))
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_built_whole_takes_its_place(cache: Path) -> None:
    with _under_construction(cache / "image-2", 0) as folder:
        assert not (cache / "image-2").exists()
        (folder / "disk").write_text("x")
    assert names(cache) == ["image-2"]
    assert stat.S_IMODE((cache / "image-2").stat().st_mode) == 0o755, "nodes run as other users too"


def build_half(place: Path, error: BaseException) -> None:
    with _under_construction(place, 0) as folder:
        (folder / "half").write_text("x")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), HostError("mmdebstrap failed"), SystemExit()])
def test_an_interrupted_build_leaves_nothing_and_keeps_the_old(cache: Path, error: BaseException) -> None:
    (cache / "image-1").mkdir()
    with pytest.raises(type(error)):
        build_half(cache / "image-2", error)
    assert names(cache) == ["image-1"]


def test_a_new_image_replaces_those_of_its_kind_that_are_long_unused(cache: Path) -> None:
    for name in ("image-0", "image-1", "node-root-1", "machine-default", ".image-killed"):
        (cache / name).mkdir()
    long_ago = time.time() - KEEP_S - 60
    for name in ("image-0", "node-root-1"):
        os.utime(cache / name, (long_ago, long_ago))
    with _under_construction(cache / "image-2", 0):
        assert not (cache / ".image-killed").exists(), "an earlier build that was killed"
    assert names(cache) == ["image-1", "image-2", "machine-default", "node-root-1"]


def test_a_build_that_is_killed_leaves_nothing_that_counts_as_built(cache: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from dmvpn_lab.machine.build import _under_construction\n"
        "with _under_construction(Path(sys.argv[1]) / 'image-2', 0): print(flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", code, str(cache)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as builder:
        assert builder.stdout is not None
        builder.stdout.readline()
        builder.kill()
    assert not list(cache.glob("image-*"))
    with _under_construction(cache / "image-2", 0):
        pass
    assert names(cache) == ["image-2"]


def test_without_room_nothing_begins(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 5_900_000_000))
    with pytest.raises(HostError, match=r"has 5\.9 GB free; the build needs 6\.0 GB") as caught:
        build.machine_image(lambda text: None)
    assert "DMVPN_LAB_CACHE" in (caught.value.hint or "")
    assert names(cache) == ["build.lock"]


def test_what_is_built_already_is_not_built_again(cache: Path) -> None:
    recipe = load_recipe()
    (cache / f"image-{recipe.machine_digest}").mkdir()
    (cache / f"node-root-{recipe.node_digest}").mkdir()
    said: list[str] = []
    assert build.machine_image(said.append) == cache / f"image-{recipe.machine_digest}"
    assert build.node_root(said.append) == cache / f"node-root-{recipe.node_digest}"
    assert said == []


def test_a_tool_that_fails_is_told_with_the_end_of_what_it_said() -> None:
    code = "print('first'); print('E: no mirror'); raise SystemExit(25)"
    with pytest.raises(HostError, match=r"failed \(25\):\nfirst\nE: no mirror"):
        _run([sys.executable, "-c", code])


def test_a_tool_that_is_not_there_is_told() -> None:
    with pytest.raises(HostError, match="no-such-tool is not installed") as caught:
        _run(["no-such-tool"])
    assert caught.value.hint == "run 'make setup'"


TOOL = """
import signal, sys, time
def end(*_):
    print("cleaned", file=open(sys.argv[1], "w"))
    sys.exit()
signal.signal(signal.SIGTERM, end)
open(sys.argv[2], "w").close()
time.sleep(60)
"""
RUN = """
import sys
from dmvpn_lab.machine.build import _run
_run([sys.executable, "-c", *sys.argv[1:]])
"""


def test_an_interrupt_ends_the_tool_and_waits_for_it(tmp_path: Path) -> None:
    """mmdebstrap takes its mounts away on SIGTERM; it must get it, and the time to."""
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    os.mkfifo(ready)
    argv = [sys.executable, "-c", RUN, TOOL, str(cleaned), str(ready)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as builder:
        ready.open().close()  # returns when the tool is there
        builder.send_signal(signal.SIGINT)
    assert cleaned.read_text() == "cleaned\n"
    assert builder.returncode == -signal.SIGINT


def modules(folder: Path) -> Path:
    for name in ("virtio", "virtio_ring", "virtio_pci", "virtio_net", "failover", "net_failover"):
        (folder / f"{name}.ko").write_bytes(name.encode())
    (folder / "modules.dep").write_text(
        "virtio.ko: virtio_ring.ko\nvirtio_ring.ko:\nvirtio_pci.ko: virtio.ko virtio_ring.ko\n"
        "failover.ko:\nnet_failover.ko: failover.ko\n"
        "virtio_net.ko: net_failover.ko failover.ko virtio.ko virtio_ring.ko\n"
    )
    return folder


def test_modules_are_loaded_after_what_they_need_and_once(tmp_path: Path) -> None:
    order = [path.stem for path in build._with_dependencies(modules(tmp_path))]
    assert order == ["virtio_ring", "virtio", "virtio_pci", "failover", "net_failover", "virtio_net"]


def test_the_initramfs_holds_what_its_init_loads(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"\x7fELF")
    build._initramfs(tmp_path / "initrd", busybox, modules(tmp_path))
    found = {
        name: (mode, data)
        for name, mode, data in entries(gzip.decompress((tmp_path / "initrd").read_bytes()))
    }
    assert found["init"][0] == 0o100755
    assert found["bin/busybox"] == (0o100755, b"\x7fELF")
    for name in found["modules/order"][1].decode().split():
        assert f"modules/{name}" in found

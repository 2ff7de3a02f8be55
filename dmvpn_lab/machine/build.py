"""Builds the nodes' root file system and the machine's disk from Debian's packages.

Each is made in a temporary folder beside its place and renamed at the end: an interrupted build
leaves nothing half. The tools are Debian's own: mmdebstrap, pip, mke2fs.
"""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dmvpn_lab.errors import HostError
from dmvpn_lab.machine import cpio
from dmvpn_lab.machine.paths import cache_folder, locked
from dmvpn_lab.machine.recipe import PACKAGE, Recipe, constraints_file, images_folder, load

Progress = Callable[[str], None]

NODE_ROOT_BYTES = 1_500_000_000
MACHINE_BYTES = 6_000_000_000
DISK_SIZE = "4G"
KEEP_S = 14 * 86400.0
"""An image that was not used for so long goes when another is built; two checkouts may take turns."""
NODE_TAR = "node.tar"
"""In the machine's folder on its disk: the nodes' root file system, for Docker to import."""
OWN = Path("opt/dmvpn-lab")
INITRAMFS_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4")
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


def node_root(progress: Progress) -> Path:
    """The nodes' root file system as a folder; built if it is not there."""
    recipe = load()
    place = cache_folder() / f"node-root-{recipe.node_digest}"
    with locked("build"):
        if not place.is_dir():
            with _under_construction(place, NODE_ROOT_BYTES) as folder:
                _fill_root(folder, recipe, (), progress)
        os.utime(place)
    return place


def machine_image(progress: Progress) -> Path:
    """The folder with the machine's `disk.raw`, `vmlinuz` and `initrd`; built if not there."""
    recipe = load()
    place = cache_folder() / image_name(recipe)
    if not place.is_dir():
        with locked("build"):
            _require_room(place.parent, MACHINE_BYTES)  # before anything of it is made
        nodes = node_root(progress)
        with locked("build"):
            if not place.is_dir():
                with _under_construction(place, MACHINE_BYTES) as folder:
                    _make_image(folder, nodes, recipe, progress)
    os.utime(place)
    return place


def image_name(recipe: Recipe) -> str:
    """The name of the folder of a recipe's image."""
    return f"image-{recipe.machine_digest}"


def pack_root(root: Path, target: Path) -> None:
    """The nodes' root file system as a tar: what `docker import` takes. Equal roots, equal tars."""
    left_out = [f"--exclude=./{path}" for path in (OWN / "src", OWN / "lab-lib", OWN / "machine")]
    _run(["tar", "--create", "--file", str(target), "--directory", str(root), "--sort=name",
          "--numeric-owner", *left_out, "."])  # fmt: skip


def _make_image(folder: Path, nodes: Path, recipe: Recipe, progress: Progress) -> None:
    root, kernel = folder / "root", folder / "kernel"
    _fill_root(root, recipe, recipe.machine_python, progress, recipe.machine_docker)
    pack_root(nodes, root / OWN / "machine" / NODE_TAR)
    progress(f"kernel: {recipe.kernel} from {recipe.kernel_suite}")
    packages = ",".join((recipe.kernel, *recipe.machine_packages))
    _run(["mmdebstrap", "--quiet", "--variant=extract", f"--include={packages}",
          recipe.kernel_suite, str(kernel)])  # fmt: skip
    release = next((kernel / "lib/modules").iterdir()).name
    shutil.move(kernel / "lib/modules" / release, root / "usr/lib/modules" / release)
    _run(["chroot", str(root), "depmod", release])
    _copy_scripts(root / OWN / "machine", recipe)
    shutil.move(next((kernel / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    modules = root / "usr/lib/modules" / release
    _initramfs(folder / "initrd", kernel / "bin/busybox", modules)
    progress("the machine's disk")
    disk = folder / "disk.raw"
    _run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), "-E", "lazy_itable_init=1",
          "-O", "^has_journal", str(disk), DISK_SIZE])  # fmt: skip
    shutil.rmtree(root)
    shutil.rmtree(kernel)


def _fill_root(
    root: Path,
    recipe: Recipe,
    machine_python: Sequence[str],
    progress: Progress,
    more_packages: Sequence[str] = (),
) -> None:
    what = "the machine's root file system" if machine_python else "the nodes' root file system"
    progress(f"{what}: Debian {recipe.suite} with FRR")
    root.mkdir(parents=True, exist_ok=True)
    _run([
        "mmdebstrap", "--quiet", "--variant=minbase",
        f"--include={','.join((*recipe.node_packages, *more_packages))}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        recipe.suite, str(root),
    ])  # fmt: skip
    for name in ("src", "lib", "lab-lib", "machine"):
        (root / OWN / name).mkdir(parents=True, exist_ok=True)
    progress(f"Python libraries of {'the machine' if machine_python else 'the nodes'}")
    version = _python_version(root)
    pip(root / OWN / "lib", version, recipe.node_python)
    if machine_python:
        pip(root / OWN / "lab-lib", version, machine_python)
    _run(["chroot", str(root), "python3", "-m", "compileall", "-q", str("/" / OWN)])


def _python_version(root: Path) -> str:
    """Such as `3.13`."""
    target = (root / "usr/bin/python3").readlink().name
    return target.removeprefix("python")


def pip(target: Path, version: str, requirements: Sequence[str]) -> None:
    """Python libraries for another interpreter than ours, such as `3.13`, into a folder."""
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target),
            "--python-version", version, "--only-binary=:all:", "--no-compile"]  # fmt: skip
    for platform_tag in ("manylinux_2_17", "manylinux2014", "manylinux_2_28"):
        argv += ["--platform", f"{platform_tag}_{platform.machine()}"]
    _run([*argv, "--constraint", str(constraints_file()), *requirements])


def _copy_scripts(place: Path, recipe: Recipe) -> None:
    scripts = images_folder() / "machine"
    shutil.copy(scripts / "init", place / "init")
    (place / "init").chmod(0o755)
    shutil.copytree(scripts / "resident", place / "resident", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "machine" / "wire.py", place / "wire.py")
    shutil.copy(PACKAGE / "node" / "immortal.py", place / "immortal.py")
    (place / "modules").write_text("".join(f"{name}\n" for name in recipe.modules))


def _initramfs(place: Path, busybox: Path, modules: Path) -> None:
    """A compressed cpio archive: busybox, the disk's driver, and a script as init."""
    archive = cpio.Writer()
    for folder in ("bin", "modules"):
        archive.folder(folder)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    archive.file("init", (images_folder() / "machine/initramfs-init").read_bytes(), 0o755)
    order = _with_dependencies(modules)
    for path in order:
        archive.file(f"modules/{path.name}", path.read_bytes(), 0o644)
    archive.file("modules/order", "".join(f"{path.name}\n" for path in order).encode(), 0o644)
    place.write_bytes(gzip.compress(archive.finish(), 6, mtime=0))


def _with_dependencies(modules: Path) -> list[Path]:
    """Files of INITRAMFS_MODULES and what they need, in loading order; built-in ones left out."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {Path(path).name.partition(".")[0]: path for path in needs}
    order: list[str] = []
    for name in INITRAMFS_MODULES:
        if name in by_name:
            # modules.dep lists what to load last first.
            order += [*reversed(needs[by_name[name]]), by_name[name]]
    return [modules / path for path in dict.fromkeys(order)]


@contextmanager
def _under_construction(place: Path, needed_bytes: int) -> Iterator[Path]:
    """A temporary folder that becomes `place` if all goes well; those long unused go."""
    _require_room(place.parent, needed_bytes)
    kind = place.name.rpartition("-")[0]
    for old in place.parent.glob(f".{kind}-*"):
        shutil.rmtree(old, ignore_errors=True)  # an earlier build that was killed
    folder = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=place.parent))
    try:
        folder.chmod(0o755)
        yield folder
        for old in place.parent.glob(f"{kind}-*"):
            if time.time() - old.stat().st_mtime > KEEP_S:
                shutil.rmtree(old)
        folder.rename(place)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _require_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise HostError(
            f"{folder} has {free / 1e9:.1f} GB free; the build needs {needed_bytes / 1e9:.1f} GB",
            hint="free room there, or set DMVPN_LAB_CACHE to a folder on a larger disk",
        )


def _run(argv: list[str]) -> None:
    """Run a tool to its end. Raises HostError with the end of what it printed."""
    try:
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                output, _ = process.communicate()
            except BaseException:
                process.send_signal(signal.SIGTERM)
                raise
    except FileNotFoundError:
        raise HostError(f"{argv[0]} is not installed", hint="run 'make setup'") from None
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-12:])
        raise HostError(f"{argv[0]} failed ({process.returncode}):\n{tail}",
                        hint="mend what it says above, then try again")  # fmt: skip

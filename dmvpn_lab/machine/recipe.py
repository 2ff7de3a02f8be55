"""Reads `images/`: the one recipe of the nodes' root file system and of the machine's disk."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to install, and the digest that a built image is kept under."""

    suite: str
    node_packages: tuple[str, ...]
    node_python: tuple[str, ...]
    kernel_suite: str
    kernel: str
    machine_packages: tuple[str, ...]
    machine_docker: tuple[str, ...]
    """Installed beside the nodes' packages in the machine's root file system."""
    machine_python: tuple[str, ...]
    modules: tuple[str, ...]
    node_digest: str
    machine_digest: str


def images_folder() -> Path:
    """`images/` of a checkout, or its copy in an installed wheel."""
    installed = PACKAGE / "_images"
    return installed if installed.is_dir() else PACKAGE.parent / "images"


def load() -> Recipe:
    """The recipe, with Python packages pinned to the versions that they were tested with.

    The same for everyone who has this version of the program, whatever else is installed: another
    recipe is another image.
    """
    folder = images_folder()
    pins = _pins()
    document = tomllib.loads((folder / "packages.toml").read_text(encoding="utf-8"))
    node, machine = document["node"], document["machine"]
    node_python = tuple(pins.get(name.lower(), name) for name in node["python"])
    machine_python = tuple(pins.get(name.lower(), name) for name in machine["python"])
    node_text = repr((node, node_python))
    names = [*folder.glob("machine/*init"), *folder.glob("machine/resident/*.py")]
    scripts = [path.read_bytes() for path in sorted(names)]
    own = Path(__file__).parent
    copied = ("wire.py", "build.py", "cpio.py", "../node/immortal.py")
    scripts += [(own / name).read_bytes() for name in copied]
    return Recipe(
        suite=node["suite"],
        node_packages=tuple(node["packages"]),
        node_python=node_python,
        kernel_suite=machine["kernel_suite"],
        kernel=machine["kernel"],
        machine_packages=tuple(machine["packages"]),
        machine_docker=tuple(machine["docker"]),
        machine_python=machine_python,
        modules=tuple(machine["modules"]),
        node_digest=_digest(node_text.encode(), (own / "build.py").read_bytes()),
        machine_digest=_digest(node_text.encode(), repr((machine, machine_python)).encode(), *scripts),
    )


def constraints_file() -> Path:
    """`constraints.txt` of a checkout, or its copy in an installed wheel."""
    installed = PACKAGE / "_constraints.txt"
    return installed if installed.is_file() else PACKAGE.parent / "constraints.txt"


def _pins() -> dict[str, str]:
    """Name in small letters -> the requirement `name==version`."""
    lines = constraints_file().read_text(encoding="utf-8").splitlines()
    requirements = [line.strip() for line in lines if "==" in line and not line.startswith("#")]
    return {each.partition("==")[0].lower(): each for each in requirements}


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]

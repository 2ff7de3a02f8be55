"""Builds the node image from the one recipe, with a registry or without.

With a registry the base is Debian's slim image and Docker installs the recipe's packages. Without
one the base is imported from the nodes' root file system, which mmdebstrap makes of the same list.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from dmvpn_lab.container import engine, image_id, node_side
from dmvpn_lab.errors import HostError
from dmvpn_lab.machine import build
from dmvpn_lab.machine.recipe import Recipe, images_folder, load

NAME = "dmvpn-lab/node"
BASE_NAME = "dmvpn-lab/node-base"
BUILT = "dmvpn-lab/node-build:latest"
"""What Docker built last, as it built it: the next build takes over the steps that are the same."""
PACKED = Path("/", build.OWN, "machine", build.NODE_TAR)
"""Where the machine has the nodes' root file system ready."""
AUTO, REGISTRY, PACKAGES = "auto", "registry", "packages"
"""Where the base may come from; any other word is the name of an image that is pulled."""
Progress = Callable[[str], None]


def reference() -> str:
    """The image that this version and this recipe give: NAME:DIGEST."""
    return f"{NAME}:{_digest(load(), _context_files(None))}"


def ensure(progress: Progress) -> str:
    """The image's reference; built if the engine has not got it. Raises HostError."""
    from docker.errors import ImageNotFound

    wanted = reference()
    with contextlib.closing(engine.connect()) as client:
        try:
            client.images.get(wanted)
        except ImageNotFound:
            return _make(client, AUTO, progress)
    return wanted


def make(base: str, progress: Progress) -> str:
    """Build the image anew; its reference. Raises HostError."""
    with contextlib.closing(engine.connect()) as client:
        return _make(client, base, progress)


def _make(client: Any, base: str, progress: Progress) -> str:
    recipe = load()
    name = _from_registry(client, recipe, base, progress)
    arguments = {"BASE": name or "", "PACKAGES": " ".join(recipe.node_packages)}
    with tempfile.TemporaryDirectory() as folder:
        libraries = None
        if name is None:
            arguments = {"BASE": _import(client, recipe, progress), "PACKAGES": ""}
        elif recipe.node_python:
            libraries = Path(folder, "lib")
            build.pip(libraries, _python_of(client, name), recipe.node_python)
        wanted = f"{NAME}:{_digest(recipe, _context_files(None))}"
        progress(f"node image: {wanted}")
        built = _build(client, _context(_context_files(libraries)), arguments)
    _settle(client, built, wanted, progress)
    client.images.get(wanted).tag(NAME, "latest")
    return wanted


def _settle(client: Any, built: Any, wanted: str, progress: Progress) -> None:
    """Tag an image like the built one whose ID is that of any other build of the same."""
    from docker.errors import DockerException

    try:
        image_id.settle(client, built, wanted)
    except DockerException as error:
        progress(f"the image's ID stays that of this build alone: {error}")
        built.tag(wanted)


def save(image: str, target: Path) -> None:
    """Write an image as a tar, for `docker load` on another host."""
    with open(target, "wb") as file, contextlib.closing(engine.connect()) as client:
        for chunk in client.images.get(image).save(named=True):
            file.write(chunk)


def _from_registry(client: Any, recipe: Recipe, base: str, progress: Progress) -> str | None:
    """The image that was pulled as base; None: it is to be made of packages. Raises HostError."""
    from docker.errors import APIError

    if base == PACKAGES or (base == AUTO and PACKED.is_file()):
        return None
    name = f"debian:{recipe.suite}-slim" if base in (AUTO, REGISTRY) else base
    try:
        pulled = client.images.pull(name)
    except APIError as error:
        why = str(error.explanation or error)
        if base != AUTO:
            raise HostError(f"cannot pull {name}: {why}", hint="use --base packages") from error
        progress(f"no registry ({why}): the base is made of Debian's packages")
        return None
    progress(f"base: {name} ({pulled.short_id})")
    return name


def _import(client: Any, recipe: Recipe, progress: Progress) -> str:
    """The base from the nodes' root file system; kept under the recipe's digest."""
    from docker.errors import ImageNotFound

    name = f"{BASE_NAME}:{recipe.node_digest}"
    try:
        client.images.get(name)
    except ImageNotFound:
        with tempfile.TemporaryDirectory() as folder:
            packed = PACKED
            if not packed.is_file():
                packed = Path(folder, build.NODE_TAR)
                build.pack_root(build.node_root(progress), packed)
            progress(f"importing {name}")
            with open(packed, "rb") as data:
                client.api.import_image_from_data(data, repository=BASE_NAME, tag=recipe.node_digest)
    return name


def _python_of(client: Any, image: str) -> str:
    """Such as `3.13`: what apt would install in the base."""
    command = ["sh", "-c", "apt-get update -q >/dev/null; apt-cache depends python3"]
    text: str = client.containers.run(image, command, remove=True).decode()
    return next(
        w.removeprefix("python") for w in text.split() if w.startswith("python3.") and w[8:].isdigit()
    )


def _build(client: Any, context: io.BytesIO, arguments: dict[str, str]) -> Any:
    """What Docker makes of it, under the name BUILT; what had the name before is removed."""
    from docker.errors import APIError, BuildError, ImageNotFound

    network = None if arguments["PACKAGES"] else "none"
    try:
        former = next((each.id for each in client.images.list(BUILT)), None)
        built, _ = client.images.build(fileobj=context, custom_context=True, tag=BUILT, buildargs=arguments,
                                       rm=True, forcerm=True, network_mode=network)  # fmt: skip
        if former not in (None, built.id):
            with contextlib.suppress(ImageNotFound):
                client.images.remove(former)
        return built
    except BuildError as error:
        lines = [str(step.get("stream") or step.get("error") or "") for step in error.build_log]
        raise HostError(f"the node image does not build:\n{''.join(lines)[-2000:]}") from error
    except APIError as error:
        raise HostError(f"Docker refuses to build: {error.explanation or error}") from error


def _context_files(libraries: Path | None) -> dict[str, bytes]:
    """`Dockerfile` and what goes below OWN -> content."""
    found = {"Dockerfile": (images_folder() / "node" / "Dockerfile").read_bytes()}
    found |= {f"src/{path}": content for path, content in node_side.files().items()}
    if libraries is not None:
        for path in sorted(p for p in libraries.rglob("*") if p.is_file()):
            found[f"lib/{path.relative_to(libraries)}"] = path.read_bytes()
    return found


def _context(files: Mapping[str, bytes]) -> io.BytesIO:
    """What Docker builds from: the Dockerfile, and a tar that it unpacks, whose folders have times, too."""
    inside = {f"{build.OWN}/{path}": data for path, data in files.items() if path != "Dockerfile"}
    return _tar({"Dockerfile": files["Dockerfile"], "node.tar": _tar(inside, ("opt", str(build.OWN))).read()})


def _tar(files: Mapping[str, bytes], folders: Sequence[str] = ()) -> io.BytesIO:
    """A tar with no times and no owners of this host: equal files, equal layers."""
    buffer = io.BytesIO()
    within = {str(folder) for path in files for folder in PurePosixPath(path).parents if str(folder) != "."}
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(within | set(folders)):
            folder = tarfile.TarInfo(path)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _digest(recipe: Recipe, files: dict[str, bytes]) -> str:
    digest = hashlib.sha256(recipe.node_digest.encode())
    for path, content in files.items():
        digest.update(f"\0{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]

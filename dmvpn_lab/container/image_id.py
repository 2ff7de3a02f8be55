"""The node image's ID from its content alone.

An image's ID is the digest of its configuration, a JSON document, and Docker's classic builder writes
there when it built, and in which container. This gives the same layers a configuration without that. The
engine takes it by `docker load` of an archive without a layer in it: it has them all, and looks first.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

CREATED = "2026-01-01T00:00:00Z"
"""The one time of all that the Dockerfile installs."""
SETTINGS = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
    "Healthcheck",
)  # fmt: skip
"""What a configuration says of how to run the image; the rest is of the container that it was built in."""


def settle(client: Any, built: Any, reference: str) -> Any:
    """Give `reference` to an image like `built`, but with an ID of its content's own; that image.

    Raises docker.errors.DockerException where the engine does not look for layers that it has.
    """
    text = configuration(built.attrs)
    (image,) = client.images.load(archive(text, built.attrs["RootFS"]["Layers"], reference))
    return image


def configuration(attrs: Mapping[str, Any]) -> bytes:
    """An image's, from what the engine tells of it (`docker inspect`); equal images, equal octets."""
    settings = attrs["Config"]
    document = {
        "architecture": attrs["Architecture"],
        "os": attrs["Os"],
        "created": CREATED,
        "config": {name: settings[name] for name in SETTINGS if settings.get(name)},
        "rootfs": {"type": "layers", "diff_ids": attrs["RootFS"]["Layers"]},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def archive(text: bytes, layers: list[str], reference: str) -> bytes:
    """What `docker load` takes: a configuration, and the names of layers that are not in it."""
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    names = [f"{layer.removeprefix('sha256:')}.tar" for layer in layers]
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": names}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in ((name, text), ("manifest.json", manifest)):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()

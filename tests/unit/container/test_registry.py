"""The node image over a base of a real registry, which this test starts and fills itself."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from dmvpn_lab.container import engine, image
from dmvpn_lab.errors import HostError
from dmvpn_lab.machine.recipe import load
from tests.unit.programs import path_of

pytestmark = [
    pytest.mark.long,
    pytest.mark.root,
    pytest.mark.program("docker-registry"),
    pytest.mark.program("dockerd"),
    pytest.mark.program("mmdebstrap"),
]
SUITE = load().suite
CONFIGURATION = """version: 0.1
log: {{accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "{address}"}}
"""
PATIENCE_S = 60.0
OF_A_CONTAINER = frozenset(
    {
        "/",
        "/.dockerenv",
        "/dev",
        "/etc",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/mtab",
        "/etc/resolv.conf",
        "/proc",
        "/sys",
    }
)
"""Paths that the engine makes in each container."""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """This host's Docker engine."""
    with contextlib.closing(engine.connect()) as made:
        yield made


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty one on this host alone; HOST:PORT."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = folder / "config.yml"
    settings.write_text(CONFIGURATION.format(folder=folder / "data", address=address))
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen([path_of("docker-registry"), "serve", str(settings)], stderr=log) as serving,
    ):
        try:
            end = time.monotonic() + PATIENCE_S
            while not answers(address):
                assert serving.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end, "the registry does not answer"
                time.sleep(0.1)
            yield address
        finally:
            serving.terminate()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/v2/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture(scope="module")
def base(registry: str, client: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Debian as a registry has it, without one package of ours; only in the registry."""
    packed = tmp_path_factory.mktemp("base") / "debian.tar"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", SUITE, str(packed)], check=True)
    repository, tag = f"{registry}/debian", f"{SUITE}-slim"
    name = f"{repository}:{tag}"
    client.api.import_image_from_file(str(packed), repository=repository, tag=tag)
    for line in client.images.push(repository, tag=tag, stream=True, decode=True):
        assert "error" not in line, line
    client.images.remove(name, force=True)
    return name


def build(client: Any, base: str) -> Any:
    """The image built from nothing: no step of an earlier build is there to be taken over."""
    from docker.errors import ImageNotFound

    for name in (f"{image.NAME}:latest", image.reference(), image.BUILT):
        with contextlib.suppress(ImageNotFound):
            client.images.remove(name, force=True)
    said: list[str] = []
    built = client.images.get(image.make(base, said.append))
    assert any(base in line for line in said), said
    return built


def listed(client: Any, image: Any) -> set[str]:
    """A line for each file of an image (kind, mode, owner, link, time), and one for each content."""
    look = "find / -xdev -printf '%p %y %m %U:%G %l %T@\\n'; find / -xdev -type f -exec sha256sum {} +"
    out: bytes = client.containers.run(
        image.id, ["-c", look], entrypoint="sh", network_mode="none", remove=True
    )
    lines = out.decode(errors="replace").splitlines()
    return {
        line
        for line in lines
        if line.split()[0] not in OF_A_CONTAINER and line.split()[1] not in OF_A_CONTAINER
    }


def test_a_node_image_from_a_registrys_base_runs_and_is_built_the_same_again(client: Any, base: str) -> None:
    first = build(client, base)
    told_nothing = client.containers.run(first.id, detach=True)
    try:
        assert told_nothing.wait(timeout=PATIENCE_S)["StatusCode"] == 2
        assert "DMVPN_TUNNEL" in told_nothing.logs().decode()
    finally:
        told_nothing.remove(force=True, v=True)
    layers, settings = first.attrs["RootFS"]["Layers"], first.attrs["Config"]
    assert layers[0] == client.images.get(base).attrs["RootFS"]["Layers"][0]
    files = listed(client, first)
    second = build(client, base)
    assert sorted(files ^ listed(client, second)) == []
    assert second.attrs["Config"]["Env"] == settings["Env"]
    assert second.attrs["RootFS"]["Layers"] == layers
    assert second.id == first.id


def test_a_base_that_no_registry_has_is_told(registry: str) -> None:
    with pytest.raises(HostError, match=f"cannot pull {registry}/no-such:1"):
        image.make(f"{registry}/no-such:1", print)

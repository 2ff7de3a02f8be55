"""The node image without a lab: a hub and a spoke by `docker run`, on Docker's own network."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.container import engine, image

pytestmark = [pytest.mark.live, pytest.mark.long]
DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with contextlib.closing(engine.connect()) as made:
        yield made


@pytest.fixture(scope="module")
def node_image() -> str:
    return image.ensure(lambda text: None)


@pytest.fixture
def started(client: Any) -> Iterator[list[Any]]:
    containers: list[Any] = []
    yield containers
    for container in containers:
        container.remove(force=True, v=True)


def run(client: Any, built: str, started: list[Any], **told: Any) -> Any:
    """`docker run -d --cap-add NET_ADMIN -e DMVPN_TUNNEL=...`, or `-v ...`; ready when this returns."""
    container = client.containers.run(built, detach=True, cap_add=["NET_ADMIN"], **told)
    started.append(container)
    wait(lambda: container.exec_run(["test", "-e", "/run/dmvpn-lab/ready"]).exit_code == 0, container)
    container.reload()
    return container


def wait(predicate: Any, container: Any) -> None:
    end = time.monotonic() + DEADLINE_S
    while not predicate():
        container.reload()
        assert container.status == "running", container.logs().decode()
        assert time.monotonic() < end, container.logs().decode()
        time.sleep(0.5)


def test_a_hub_from_a_variable_and_a_spoke_from_a_mounted_file_reach_each_other_through_the_tunnel(
    client: Any, node_image: str, started: list[Any], tmp_path: Path
) -> None:
    variable = {"DMVPN_TUNNEL": json.dumps({"address": "10.0.0.1/24", "key": 1})}
    hub = run(client, node_image, started, environment=variable)
    nbma = hub.attrs["NetworkSettings"]["IPAddress"]
    file = tmp_path / "tunnel.json"
    file.write_text(json.dumps({"address": "10.0.0.11/24", "key": 1, "hubs": {"10.0.0.1": nbma}}))
    spoke = run(client, node_image, started, volumes=[f"{file}:/etc/dmvpn-lab/tunnel.json:ro"])
    wait(lambda: spoke.exec_run(["ping", "-c", "1", "-W", "5", "10.0.0.1"]).exit_code == 0, spoke)
    neighbours = hub.exec_run(["ip", "neighbour", "show", "dev", "tunnel0"]).output.decode()
    assert spoke.attrs["NetworkSettings"]["IPAddress"] in neighbours
    wait(lambda: health(spoke) == "healthy", spoke)
    began = time.monotonic()
    spoke.stop(timeout=60)
    spoke.reload()
    assert (spoke.attrs["State"]["ExitCode"], spoke.attrs["State"]["OOMKilled"]) == (0, False)
    assert time.monotonic() - began < 45  # it ended by SIGTERM, not by the engine's patience


def health(container: Any) -> str:
    """What the engine thinks of a container."""
    container.reload()
    status: str = container.attrs["State"]["Health"]["Status"]
    return status


def build_anew(client: Any) -> tuple[str, str]:
    """The IDs of the node image, and of what Docker built it from, with no step of an earlier build."""
    from docker.errors import ImageNotFound

    for name in (f"{image.NAME}:latest", image.reference(), image.BUILT):
        with contextlib.suppress(ImageNotFound):
            client.images.remove(name, force=True)
    made = image.make(image.PACKAGES, print)
    return client.images.get(made).id, client.images.get(image.BUILT).id


def test_two_builds_have_one_id(client: Any) -> None:
    (first, built), (second, built_again) = build_anew(client), build_anew(client)
    assert built != built_again  # Docker's own ID tells when it built
    assert first == second


def test_a_node_that_is_told_nothing_ends_and_says_what_it_could_be_told(
    client: Any, node_image: str, started: list[Any]
) -> None:
    container = client.containers.run(node_image, detach=True)
    started.append(container)
    assert container.wait(timeout=60)["StatusCode"] == 2
    assert "DMVPN_TUNNEL" in container.logs().decode()

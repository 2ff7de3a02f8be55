"""The node image without a lab: a hub and a spoke by `docker run`, on Docker's own network."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
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


def run(client: Any, built: str, started: list[Any], tunnel: dict[str, Any]) -> Any:
    """`docker run -d --cap-add NET_ADMIN -e DMVPN_TUNNEL=...`; ready when this returns."""
    container = client.containers.run(
        built, detach=True, cap_add=["NET_ADMIN"], environment={"DMVPN_TUNNEL": json.dumps(tunnel)}
    )
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


def test_a_hub_and_a_spoke_from_one_variable_each_reach_each_other_through_the_tunnel(
    client: Any, node_image: str, started: list[Any]
) -> None:
    hub = run(client, node_image, started, {"address": "10.0.0.1/24", "key": 1})
    nbma = hub.attrs["NetworkSettings"]["IPAddress"]
    spoke = run(
        client, node_image, started, {"address": "10.0.0.11/24", "key": 1, "hubs": {"10.0.0.1": nbma}}
    )
    wait(lambda: spoke.exec_run(["ping", "-c", "1", "-W", "5", "10.0.0.1"]).exit_code == 0, spoke)
    neighbours = hub.exec_run(["ip", "neighbour", "show", "dev", "tunnel0"]).output.decode()
    assert spoke.attrs["NetworkSettings"]["IPAddress"] in neighbours
    began = time.monotonic()
    spoke.stop(timeout=60)
    spoke.reload()
    assert (spoke.attrs["State"]["ExitCode"], spoke.attrs["State"]["OOMKilled"]) == (0, False)
    assert time.monotonic() - began < 45  # it ended by SIGTERM, not by the engine's patience


def test_a_node_that_is_told_nothing_ends_and_says_what_it_could_be_told(
    client: Any, node_image: str, started: list[Any]
) -> None:
    container = client.containers.run(node_image, detach=True)
    started.append(container)
    assert container.wait(timeout=60)["StatusCode"] == 2
    assert "DMVPN_TUNNEL" in container.logs().decode()

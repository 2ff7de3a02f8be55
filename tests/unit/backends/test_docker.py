"""What the docker backend does with what the engine refuses; the engine itself is in tests/contract."""

from __future__ import annotations

import pytest
from docker.errors import APIError, NotFound

from dmvpn_lab.backends.docker import DockerBackend

NOT_ENDED = (
    'cannot remove container "/dmvpn-lab-phase-3-spoke-b": could not kill: tried to kill container, '
    "but did not receive an exit event"
)
"""Recorded from Docker 26.1 on a busy host."""


class Container:
    """Refuses to be removed as often as it is told to."""

    def __init__(self, *refusals: APIError) -> None:
        self.refusals = list(refusals)
        self.asked: list[str] = []

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v, "its volumes go with it"
        self.asked.append("remove")
        if self.refusals:
            raise self.refusals.pop(0)

    def wait(self, *, timeout: float) -> None:
        assert timeout > 0
        self.asked.append("wait")


def refusal(kind: type[APIError], words: str) -> APIError:
    return kind("refused", explanation=words)


def test_a_killed_container_that_has_not_ended_in_time_is_waited_for_and_removed() -> None:
    slow = Container(refusal(APIError, NOT_ENDED))
    DockerBackend()._remove(slow)
    assert slow.asked == ["remove", "wait", "remove"]


def test_a_container_that_somebody_else_removes_meanwhile_is_gone() -> None:
    for container in (
        Container(refusal(NotFound, "No such container")),
        Container(refusal(APIError, NOT_ENDED), refusal(NotFound, "No such container")),
    ):
        DockerBackend()._remove(container)
        assert container.refusals == []


def test_what_else_the_engine_refuses_is_told() -> None:
    with pytest.raises(APIError):
        DockerBackend()._remove(Container(refusal(APIError, "driver failed to remove root filesystem")))

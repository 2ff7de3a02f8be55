"""Docker looks at the health of a lab's containers seldom, and not more often while they start."""

from __future__ import annotations

import contextlib

import pytest

from dmvpn_lab.container import engine
from dmvpn_lab.testing import LiveLab
from tests.live import backends

pytestmark = [pytest.mark.live, pytest.mark.long]
SECOND = 1_000_000_000


@pytest.mark.parametrize("lab_backend", backends.CONTAINERS, indirect=True)
def test_the_engine_looks_at_each_node_once_a_minute_from_its_start_on(dmvpn_lab: LiveLab) -> None:
    with contextlib.closing(engine.connect()) as client:
        found = client.containers.list(filters={"label": f"dmvpn-lab.lab={dmvpn_lab.name}"})
        told = [each.attrs["Config"]["Healthcheck"] for each in found]
    assert len(told) == len(dmvpn_lab.plan.nodes)
    assert {(each["Interval"], each["StartPeriod"]) for each in told} == {(70 * SECOND, SECOND)}
    assert {tuple(each["Test"]) for each in told} == {("CMD", "test", "-e", "/run/dmvpn-lab/ready")}

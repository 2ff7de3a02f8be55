"""Wait for what happens later: `wait_for` looks again at each event of the lab, up to a deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dmvpn_lab.testing import LiveLab

pytestmark = pytest.mark.live


def test_an_agent_that_is_killed_comes_back_and_registers(
    dmvpn_lab: LiveLab, wait_for: Callable[..., Any]
) -> None:
    before = dmvpn_lab.show("spoke-a", "status")["uptime_s"]
    dmvpn_lab.must("spoke-a", "pkill", "-KILL", "-x", "-P", "1", "python3")  # the agent, not its init
    wait_for(
        lambda: dmvpn_lab.show("spoke-a", "status")["uptime_s"] < before, timeout_s=30, what="a new agent"
    )
    wait_for(lambda: dmvpn_lab.show("spoke-a", "nhs")[0]["state"] == "registered", what="registration")


def test_a_wait_that_is_in_vain_tells_what_it_saw_last(wait_for: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match=r"spring: not within 0\.1 s; last seen: \[\]"):
        wait_for(list, timeout_s=0.1, what="spring")

"""When a lab is handed out: agents and a backend that only answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab import controller
from dmvpn_lab.backends import state
from dmvpn_lab.testing import labs
from dmvpn_lab.testing.labs import Labs
from tests.unit.agents import beside, knowing
from tests.unit.backends.recorder import Recorder

ALL_THERE = [
    {"protocol": address, "interface": "tunnel0", "flags": ["registered"]}
    for address in ("10.0.0.11", "10.0.0.12")
]


class Hub(dict[str, Any]):
    """Its cache is empty for whoever asks first."""

    asked = 0

    def get(self, name: str, default: Any = None) -> Any:
        """The answer to a query; None to a subscription."""
        if name != "nhrp":
            return None
        self.asked += 1
        return ALL_THERE if self.asked > 1 else []


@pytest.mark.parametrize(("registered", "asked"), [(True, 2), (False, 0)])
def test_a_lab_is_handed_out_when_its_spokes_have_registered_or_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registered: bool, asked: int
) -> None:
    recorder, hub = Recorder(), Hub(nhrp=[])
    monkeypatch.setattr(state, "LABS", tmp_path / "labs")
    monkeypatch.setattr(labs, "can_run_labs", lambda: True)
    monkeypatch.setattr(controller, "backend", lambda name: recorder)
    made = Labs("hub-and-spoke", "netns")
    with beside(knowing(recorder, {"hub": hub, "spoke-a": {}, "spoke-b": {}})):
        try:
            made.get(capture=[], registered=registered)
        finally:
            made.close()
    assert hub.asked == asked

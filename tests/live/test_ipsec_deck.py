"""The deck's own transform set of 2004, as far as kernel and strongSwan still have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live import labs
from tests.live.labs import Lab

pytestmark = pytest.mark.live


def test_the_decks_transform_set_under_ikev1_protects_every_tunnel(tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "ipsec-deck", "test-ipsec-deck")
    with labs.running(path) as lab:
        results = lab.verify()
        new_keys_are_silent(lab)
    assert [f"{r.name} {r.node}: {r.observed}" for r in results if not r.passed] == []
    pairs = [r.observed for r in results if r.name == "encryption" and "SA pair" in r.observed]
    assert pairs == ["IKEv1, 3DES_CBC/HMAC_SHA1_96, 1 SA pair"] * 2


def new_keys_are_silent(lab: Lab) -> None:
    """IKEv1 makes new keys by a whole phase 2; nothing is lost, and it triggers no registration."""
    before = triggered(lab)
    assert before  # by the first phase 2
    done = lab.json("inject", "rekey", "spoke-a", "--how", "child")
    assert done["passed"], done
    assert done["outages"][0]["lost"] <= 1
    assert triggered(lab) == before


def triggered(lab: Lab) -> list[dict[str, Any]]:
    """The registrations that a finished phase 2 has triggered."""
    return [event for event in lab.json_lines("events")
            if event["event"] == "registration-sent" and event["trigger"] == "ipsec-up"]  # fmt: skip

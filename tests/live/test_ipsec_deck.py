"""The deck's own transform set of 2004, as far as kernel and strongSwan still have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.running import Event
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live


def test_the_decks_transform_set_under_ikev1_protects_every_tunnel(dmvpn_labs: Labs, tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "ipsec-deck", "test-ipsec-deck")
    with dmvpn_labs.running(str(path)) as lab:
        results = lab.verify()
        new_keys_are_silent(lab)
    assert labs.left_behind(lab.name) == []
    pairs = [r.observed for r in results if r.name == "encryption" and "SA pair" in r.observed]
    assert pairs == ["IKEv1, 3DES_CBC/HMAC_SHA1_96, 1 SA pair"] * 2


def new_keys_are_silent(lab: LiveLab) -> None:
    """IKEv1 makes new keys by a whole phase 2: it triggers no registration, and hardly loses a packet.

    Its last message may be on its way when the first packet comes in the new SA (24 rekeys: 2 lost in one).
    """
    before = triggered(lab)
    assert before  # by the first phase 2
    assert lab.outage("rekey", "spoke-a", "child")[0].lost <= 3
    assert triggered(lab) == before


def triggered(lab: LiveLab) -> list[Event]:
    """The registrations that a finished phase 2 has triggered, those of the lab's start too."""
    return [event for router in lab.plan.agents() for event in lab.run(lab.lab.past(router.name))
            if event["event"] == "registration-sent" and event["trigger"] == "ipsec-up"]  # fmt: skip

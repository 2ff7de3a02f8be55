"""Two hubs, whole: both have every spoke, the better one is asked, the other steps in, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab

PATIENCE_S = 90.0
FAR = "192.168.2.2"


@pytest.fixture(scope="module")
def dual(dmvpn_labs: Labs) -> Iterator[LiveLab]:
    with dmvpn_labs.running("dual-hub") as lab:
        yield lab


def way(lab: LiveLab) -> str:
    """The next hop from spoke A to the LAN of spoke B, without shortcuts."""
    return lab.must("spoke-a", "ip", "route", "show", "192.168.2.0/24").split(" via ")[1].split()[0]


def asked(lab: LiveLab) -> str:
    """The server that spoke A asks next, after what it has resolved is forgotten."""
    lab.run(lab.lab.query("spoke-a", "clear"))
    began = time.time()

    def sent() -> list[dict[str, object]]:
        """A hub tells of a shorter way six times a minute at the most, so packets must go on."""
        lab.exec("host-2", "ping", "-n", "-c", "1", "-W", "1", FAR)
        return [e for e in lab.events("resolution-sent", node="spoke-a") if e["at"] >= began]

    return str(lab.wait_for(sent, PATIENCE_S)[0]["nhs"])


def until(lab: LiveLab, is_so: Callable[[], bool]) -> None:
    lab.wait_for(is_so, PATIENCE_S)


def test_the_lab_is_whole_and_the_better_hub_is_asked(dual: LiveLab) -> None:
    dual.verify()
    assert (way(dual), asked(dual)) == ("10.0.0.1", "10.0.0.1")


def test_when_the_better_hub_is_cut_off_the_other_is_asked_until_it_is_back(dual: LiveLab) -> None:
    dual.link_down("hub-1")
    until(dual, lambda: way(dual) == "10.0.0.2")
    until(
        dual,
        lambda: {s["protocol"]: s["renews_in_s"] for s in dual.show("spoke-a", "nhs")}["10.0.0.1"] is None,
    )
    until(dual, lambda: asked(dual) == "10.0.0.2")
    dual.undo()
    until(dual, lambda: way(dual) == "10.0.0.1")
    until(dual, lambda: asked(dual) == "10.0.0.1")

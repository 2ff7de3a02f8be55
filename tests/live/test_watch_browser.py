"""What a browser at the page of `watch --browser` hears of a lab, while a spoke gets another address."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dmvpn_lab.testing import Labs
from tests.live import labs

pytestmark = pytest.mark.live
NAME = "live-watch-browser"
SPOKE, HUB = "spoke-a", "hub"
PATIENCE_S = 60.0
"""For the next line of the stream."""


def messages(address: str) -> Iterator[tuple[str, Any]]:
    """The server-sent events of a page, until its server ends."""
    with urllib.request.urlopen(f"{address}events", timeout=PATIENCE_S) as stream:
        while line := stream.readline():
            name, data, blank = line.decode(), stream.readline().decode(), stream.readline()
            assert (name[:7], data[:6], blank) == ("event: ", "data: ", b"\n")
            yield name[7:].strip(), json.loads(data[6:])


class Page:
    """What is on the page, as messages come."""

    def __init__(self, address: str) -> None:
        self._messages = messages(address)
        self.tunnel: list[str] = []
        """The classes of the spoke's tunnel to the hub."""
        self.spoke = ""
        """What is written on the spoke."""
        self.events: list[str] = []
        self.ended: str | None = None

    def until(self, so: Callable[[Page], bool]) -> None:
        """Take messages until something is so."""
        for name, content in self._messages:
            if name == "frame":
                self._draw(ElementTree.fromstring(content["picture"]))
            elif name == "told":
                self.events += [f"{row[1]['text']} {row[2]['text']}" for row in content]
            elif name == "ended":
                self.ended = content
            if so(self):
                return
        raise AssertionError(f"the stream ended: {self.tunnel} {self.spoke} {self.events} {self.ended}")

    def _draw(self, picture: ElementTree.Element) -> None:
        found = {each.get("id"): each for each in picture.iter()}
        self.tunnel = found[f"tunnel-dmvpn-{SPOKE}-{HUB}"].get("class", "").split()
        self.spoke = " ".join(found[f"node-{SPOKE}"].itertext())


def test_a_browser_sees_a_spoke_without_an_address_then_with_another_and_then_the_end(
    dmvpn_labs: Labs, tmp_path: Path
) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke", NAME)
    with dmvpn_labs.running(str(path)) as lab:
        server = labs.start_command("watch", "--browser", "--port", "0", NAME)
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), address
        page = Page(address)
        page.until(lambda p: "registered" in p.tunnel and "NBMA 172.16.1.1" in p.spoke)
        lab.address_change(SPOKE, gap_s=5.0)
        page.until(lambda p: "not-registered" in p.tunnel and "NBMA none" in p.spoke)
        page.until(lambda p: "registered" in p.tunnel and "NBMA 172.16.1.2" in p.spoke)
        page.until(lambda p: {f"{SPOKE} nbma-changed", f"{HUB} peer-registered"} <= set(p.events))
    page.until(lambda p: p.ended is not None)
    said, _ = server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0, said

"""The page in a browser: a recorded lab, drawn by headless Chromium as it went on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from dmvpn_lab.watch import picture
from dmvpn_lab.watch.browser import Browser
from dmvpn_lab.watch.source import Source

pytestmark = [pytest.mark.program("chromium"), pytest.mark.program("chromedriver")]
RECORDED = (Path(__file__).parent / "recorded.jsonl").read_text().splitlines()
"""A protected lab of three routers: spoke-a gets another address, then the spokes get a shortcut."""
WHOLE, NO_ADDRESS, MOVED, NO_SHORTCUT, SHORTCUTS = (RECORDED[at] for at in (33, 36, 48, 51, 61))
EVENTS = tuple(line for line in RECORDED if "event" in json.loads(line))
PATIENCE_S = 60.0
ROUTERS = ("hub", "spoke-a", "spoke-b")
TUNNEL, SHORTCUT = "tunnel-dmvpn-spoke-a-hub", "shortcut-dmvpn-spoke-a-spoke-b"
GREEN, RED = "#1a7f37", "#cf222e"


class Shown:
    """The page in the browser, and the other end of the pipe that its server reads."""

    def __init__(self, driver: webdriver.Chrome, pipe: Path) -> None:
        self.driver = driver
        self._pipe = pipe

    def say(self, *lines: str) -> None:
        """The lab goes on."""
        with self._pipe.open("a") as pipe:
            pipe.writelines(f"{line}\n" for line in lines)

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.driver.execute_script(f"return {script}")

    def until(self, script: str) -> None:
        """Wait until an expression is true in the page."""
        waiting = WebDriverWait(self.driver, PATIENCE_S, 0.1)
        waiting.until(lambda _: self.ask(script), f"never: {script}\n{self.log()}")

    def log(self) -> list[str]:
        """What the browser complained of since the last time."""
        return [each["message"] for each in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]


def shown(
    chromium: webdriver.Chrome, tmp_path: Path, test: Callable[[Shown], None], begin: Sequence[str] = (WHOLE,)
) -> None:
    """Open the page of a lab and run a test in it."""
    pipe = tmp_path / "lines"
    pipe.write_text("".join(f"{line}\n" for line in begin))

    async def inside() -> None:
        page = Browser(Source(["tail", "-n", "+1", "-f", str(pipe)]))
        ready = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            group.create_task(page.run(0, ready.set_result))
            try:
                address = (await ready).replace("127.0.0.1", "localhost")
                await asyncio.to_thread(visit, address)
            finally:
                page.end()

    def visit(address: str) -> None:
        page = Shown(chromium, pipe)
        page.log()  # what an earlier page left
        chromium.get(address)
        page.until("document.getElementById('picture') !== null")
        test(page)
        assert page.log() == []

    asyncio.run(inside())


def test_the_picture_of_the_documentation_is_the_one_that_is_drawn() -> None:
    shown = picture.svg(json.loads(SHORTCUTS)["frame"])
    assert (Path(__file__).parents[3] / "docs" / "watch.svg").read_text() == shown


def element(name: str) -> str:
    return f"document.getElementById({name!r})"


def test_all_nodes_are_drawn_none_over_another(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    def test(page: Shown) -> None:
        boxes = page.ask("[...document.querySelectorAll('.node rect')].map(e => e.getBoundingClientRect())")
        assert len(boxes) == 7
        frame = page.ask("document.getElementById('network').getBoundingClientRect()")
        for n, box in enumerate(boxes):
            assert box["width"] > 20
            assert frame["left"] <= box["left"] < box["right"] <= frame["right"]
            for other in boxes[:n]:
                apart = box["right"] < other["left"] or other["right"] < box["left"]
                assert apart or box["bottom"] < other["top"] or other["bottom"] < box["top"], (box, other)
        words = page.ask("[...document.querySelectorAll('.node')].map(e => e.textContent).join()")
        assert all(router in words for router in ROUTERS)

    shown(chromium, tmp_path, test)


def test_a_spoke_loses_its_address_and_registers_another_before_ones_eyes(
    chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    tunnel, line = f"{element(TUNNEL)}.classList", f"{element(TUNNEL + '-line')}"

    def test(page: Shown) -> None:
        page.until(f"{tunnel}.contains('registered')")
        assert page.ask(f"{line}.getAttribute('stroke')") == GREEN
        assert "172.16.1.1" in page.ask(f"{element('node-spoke-a')}.textContent")
        page.ask(f"(window.line = {line}, true)")
        page.say(NO_ADDRESS)
        page.until(f"{tunnel}.contains('not-registered')")
        assert page.ask(f"{line}.getAttribute('stroke')") == RED
        assert "NBMA none" in page.ask(f"{element('node-spoke-a')}.textContent")
        page.say(MOVED)
        page.until(f"{tunnel}.contains('registered')")
        assert page.ask(f"{line}.getAttribute('stroke')") == GREEN
        assert "172.16.1.2" in page.ask(f"{element('node-spoke-a')}.textContent")
        assert page.ask(f"window.line === {line}"), "the same line, so that its colour is seen to change"
        assert "172.16.1.2" in page.ask("document.getElementById('tables').textContent")

    shown(chromium, tmp_path, test)


def test_a_shortcut_comes_and_goes(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    def test(page: Shown) -> None:
        assert page.ask(f"{element(SHORTCUT)} === null")
        page.say(SHORTCUTS)
        page.until(f"{element(SHORTCUT)} !== null")
        assert page.ask(f"{element(SHORTCUT + '-line')}.getTotalLength()") > 100
        assert page.ask(f"{element(SHORTCUT + '-words')}.textContent").startswith("spoke-a > spoke-b")
        page.say(NO_SHORTCUT)
        page.until(f"{element(SHORTCUT)} === null")

    shown(chromium, tmp_path, test, (MOVED,))


def test_times_are_counted_down_and_events_are_told_without_a_complaint_of_the_browser(
    chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    def test(page: Shown) -> None:
        page.until(f"document.querySelectorAll('#events li').length === {len(EVENTS)}")
        assert page.ask("document.querySelector('#events b').textContent") == "ipsec-up"  # the newest
        end = page.ask("(document.querySelector('[data-ends]').dataset.ends = Date.now() / 1000 + 3599.9)")
        assert end is not None
        page.until("document.querySelector('[data-ends]').textContent === '00:59:58'")
        page.say(json.dumps({"v": 1, "ended": "the lab was taken down"}))
        page.until("document.getElementById('line').textContent === 'the lab was taken down'")

    shown(chromium, tmp_path, test, RECORDED)


def test_what_the_policy_forbids_is_complained_of(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    def test(page: Shown) -> None:
        page.ask("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>')")
        (said,) = page.log()
        assert "Content Security Policy" in said

    shown(chromium, tmp_path, test)

"""The pages of a class in headless Chromium: a learner works, an instructor looks over her shoulder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.unit.classroom.served import WORKSHOP, Served, serving

pytestmark = [pytest.mark.program("chromium"), pytest.mark.program("chromedriver")]
PATIENCE_S = 60.0


class Window:
    """One window of the browser. A cookie is a host's: two people have two names of this computer."""

    def __init__(self, driver: webdriver.Chrome, url: str, host: str) -> None:
        self.driver = driver
        driver.switch_to.new_window("window")
        self._handle = driver.current_window_handle
        driver.get(url.replace("127.0.0.1", host))

    def until(self, script: str) -> Any:
        """Wait until an expression is true in the page."""
        self.driver.switch_to.window(self._handle)
        waiting = WebDriverWait(self.driver, PATIENCE_S, 0.1)
        return waiting.until(lambda _: self.driver.execute_script(f"return {script}"), f"never: {script}")

    def says(self, place: str, text: str) -> None:
        """Wait until a text is in an element."""
        self.until(f"document.querySelector({place!r})?.innerText.includes({text!r})")

    def press(self, place: str, text: str = "") -> None:
        """A button, or the one of several that has this text, as soon as it can be pressed."""
        found = f"[...document.querySelectorAll({place!r})].find(e => e.innerText.includes({text!r}))"
        self.until(f"{found} && !{found}.disabled")
        self.driver.execute_script(f"{found}.click()")

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.driver.switch_to.window(self._handle)
        self.driver.switch_to.active_element.send_keys(text)

    def log_in(self, name: str, password: str) -> None:
        """Fill in the form."""
        self.until("document.getElementById('login')")
        for field, text in (("name", name), ("password", password)):
            box = self.driver.find_element(By.NAME, field)
            box.clear()
            box.send_keys(text)
        self.press("#login button")


def log(driver: webdriver.Chrome) -> list[str]:
    """What the browser complained of since the last time."""
    return [each["message"] for each in driver.get_log("browser")]  # type: ignore[no-untyped-call]


def test_a_learner_works_and_knows_who_looks(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    def visit(served: Served) -> None:
        log(chromium)
        anna = Window(chromium, served.url, "127.0.0.1")
        anna.log_in("anna", "wrong")
        anna.says("#said", "name or password is wrong")
        assert all("403" in line for line in log(chromium))
        anna.log_in("anna", served.passwords["anna"])
        anna.until("document.querySelector('#workshops option')")
        anna.press("#start")
        anna.says("#words", "You make a tunnel that knows its other end")
        anna.press("#tabs button", "hub")
        anna.says("#screens", "in hub")
        anna.type("ip link show\n")
        anna.says("#screens", "heard ip link show")
        anna.press("#check")
        anna.says("#checked", "not yet")
        assert anna.until("[...document.querySelectorAll('#tasks li')].map(e => e.className)") == [
            "done",
            "open",
        ]
        anna.press("#hint")
        anna.says("#hints", "Both ends of a tunnel need the same key")
        anna.says("#screens", "heard ip link show")
        carla = Window(chromium, served.url, "localhost")
        carla.log_in("carla", served.passwords["carla"])
        carla.says("#learners", "1 of 2")
        carla.press("#learners button", "hub")
        carla.says("#screen", "heard ip link show")
        anna.says("#watched", "carla looks at hub")
        carla.press("#close")
        anna.until("document.querySelector('#watched').innerText === ''")
        anna.until("document.querySelector('#topology').value.startsWith('lab: workshop-01')")
        anna.press("#stop")
        anna.until("document.querySelectorAll('#tabs button').length === 0")
        carla.says("#learners", "off")
        anna.press("#logout")
        anna.until("document.getElementById('login')")
        assert log(chromium) == []

    serve(visit, tmp_path)
    assert (tmp_path / "anna" / "dmvpn-lab" / "workshops.json").exists(), WORKSHOP


def serve(visit: Any, folder: Path) -> None:
    async def test(served: Served) -> None:
        await asyncio.to_thread(visit, served)

    serving(folder, test)

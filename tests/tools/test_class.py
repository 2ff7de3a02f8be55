"""A class at work: two learners in real machines, an instructor, and what nobody gets at.

Long: it boots two machines. It speaks to the server as the pages do.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dmvpn_lab.machine.paths import cache_folder

CLASS = "test-class"
ROSTER = f"class: {CLASS}\nlearners: [anna, bob]\ninstructors: [carla]\nat-once: 2\n"
PATIENCE_S = 400.0
"""For what takes a machine: two of them boot here at once, emulated."""
SECRET = "this-is-on-the-host-only"
GRE_HUB = (
    "ip link add gre1 type gre local 172.17.0.1 remote 172.16.1.1 key 100; "
    "ip address add 10.1.0.1/30 dev gre1; ip link set gre1 up"
)
GRE_SPOKE = (
    "ip link add gre1 type gre local 172.16.1.1 remote 172.17.0.1 key 100; "
    "ip address add 10.1.0.2/30 dev gre1; ip link set gre1 up"
)
REACH = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
        print("REACHED", place)
    except OSError:
        print("cut", "off", place)
"""


def machine(learner: str) -> dict[str, Any]:
    """What is known of a learner's running machine."""
    path = cache_folder() / f"machine-class-{CLASS}.{learner}" / "running.json"
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def lives(pid: int) -> bool:
    """Whether that process is a QEMU."""
    try:
        return b"qemu" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def started_by(state: Path) -> list[str]:
    """Processes of a server of this class: it has told each of its folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{state}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def command(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "dmvpn_lab", "class", *words]
    env = {**os.environ, "XDG_STATE_HOME": str(state)}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def roster(tmp_path: Path) -> Iterator[Path]:
    """A class that is forgotten after the test, machines too."""
    path = tmp_path / "roster.yml"
    path.write_text(ROSTER)
    yield path
    assert command(tmp_path, "forget", str(path)).returncode == 0
    assert list(cache_folder().glob(f"machine-class-{CLASS}.*")) == []


class Person:
    """Somebody at a browser."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url
        self.origin = {"Origin": url.rstrip("/")}

    async def post(self, path: str, **fields: str) -> tuple[int, str]:
        async with self.session.post(f"{self.url}{path}", data=fields, headers=self.origin) as answer:
            return answer.status, await answer.text()

    async def get(self, path: str) -> int:
        async with self.session.get(f"{self.url}{path}", headers=self.origin) as answer:
            return answer.status

    async def until(self, path: str, wanted: Callable[[Any], bool]) -> Any:
        """The first thing told on a stream that is as wanted."""
        seen = None
        try:
            async with (
                asyncio.timeout(PATIENCE_S),
                self.session.get(f"{self.url}{path}", timeout=aiohttp.ClientTimeout(None)) as answer,
            ):
                assert answer.status == 200
                while line := await answer.content.readline():
                    if line.startswith(b"data: "):
                        seen = json.loads(line[6:])
                        if wanted(seen):
                            return seen
        except TimeoutError:
            pass
        raise AssertionError(seen)

    async def rest(self) -> Any:
        """Nothing goes on at this learner's."""
        return await self.until("state", lambda state: state["doing"] is None)

    @asynccontextmanager
    async def terminal(self, path: str) -> AsyncIterator[Screen]:
        async with self.session.ws_connect(f"{self.url}{path}", headers=self.origin, max_msg_size=0) as line:
            screen = Screen(line)
            if path.startswith("terminal/"):
                await line.send_json({"rows": 50, "columns": 500})
                await screen.until(r"# (\x1b\[[^ ]*)?$")  # what is typed before the prompt is lost
            yield screen


class Screen:
    """A terminal's other end."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self.line = line
        self.text = ""

    async def until(self, pattern: str) -> str:
        """Read until this is there; what was read."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not re.search(pattern, self.text):
                    message = await self.line.receive()
                    assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), self.text
                    if message.type is aiohttp.WSMsgType.BINARY:
                        self.text += message.data.decode(errors="replace")
        except TimeoutError:
            raise AssertionError(f"no {pattern!r} in {self.text!r}") from None
        return self.text

    async def run(self, text: str) -> str:
        """A command line's output; the sign of its end is not in its echo."""
        self.text = ""
        await self.line.send_bytes(f'{text}; echo "do""ne $?."\n'.encode())
        out = (await self.until(r"done \d+\.")).split('ne $?."', 1)[-1]
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", out)


async def log_in(url: str, name: str, password: str) -> Person:
    session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    person = Person(session, url)
    status, text = await person.post("login", name=name, password=password)
    assert status == 200, text
    return person


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_class_of_two_works_and_nobody_reaches_anothers_lab_or_the_host(
    roster: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    made = command(tmp_path, "passwords", str(roster))
    passwords = dict(line.split() for line in made.stdout.splitlines()[1:])
    argv = [sys.executable, "-m", "dmvpn_lab", "class", "serve", str(roster), "--port", "0"]
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            pids = asyncio.run(lesson(url, passwords, tmp_path))
            assert len(started_by(tmp_path)) > 2, "this sees what there is"
            server.send_signal(signal.SIGTERM)
            assert server.wait(120) == 0
        finally:
            server.kill()
    assert not any(lives(pid) for pid in pids)
    assert started_by(tmp_path) == []
    kept = json.loads(
        (tmp_path / "dmvpn-lab/classes" / CLASS / "learners/anna/dmvpn-lab/workshops.json").read_text()
    )
    assert kept["01-gre-by-hand"]["state"] == "started"


async def lesson(url: str, passwords: dict[str, str], folder: Path) -> list[int]:
    """All of it; the processes of the machines."""
    anna, bob, carla = [await log_in(url, name, passwords[name]) for name in ("anna", "bob", "carla")]
    try:
        for learner in (anna, bob):
            assert (await learner.post("do/start", workshop="01-gre-by-hand"))[0] == 202
        for learner in (anna, bob):
            assert "hub" in (await learner.rest())["terminals"]
        pids = [machine(name)["pid"] for name in ("anna", "bob")]
        assert all(map(lives, pids))
        await works(anna, bob, carla)
        await cut_off(url, anna, folder)
        await breaks_only_her_own(anna, bob)
    finally:
        for person in (anna, bob, carla):
            await person.session.close()
    return pids


async def works(anna: Person, bob: Person, carla: Person) -> None:
    """anna does a task in two terminals; the check, the board and the look over her shoulder tell."""
    async with anna.terminal("terminal/spoke-a") as spoke:
        await spoke.run(GRE_SPOKE)
    async with anna.terminal("terminal/hub") as hub:
        await hub.run(GRE_HUB)
        async with carla.terminal("look/anna/hub") as shoulder:
            await anna.until("state", lambda state: state["watched"] == ["carla looks at hub"])
            await shoulder.until("gre1 up")
            await shoulder.line.send_bytes(b"echo typed-by-the-instructor\n")
            await hub.run("echo typed-by-the-learner")
            assert "typed-by-the-instructor" not in await shoulder.until("typed-by-the-learner")
        await anna.until("state", lambda state: state["watched"] == [])
    assert (await anna.post("do/check"))[0] == 202
    assert [task["done"] for task in (await anna.rest())["seen"]] == [True, False]
    board = await carla.until("board", lambda board: board["running"] == 2)
    rows = {row["learner"]: row for row in board["learners"]}
    assert (rows["anna"]["done"], rows["anna"]["tasks"], rows["anna"]["workshop"]) == (1, 2, "01-gre-by-hand")
    assert (rows["bob"]["done"], rows["bob"]["state"]) == (0, "running")
    async with bob.terminal("terminal/hub") as hub:
        assert "gre1" not in await hub.run("ip -brief link")
    for path in ("board", "look/anna/hub"):
        assert await bob.get(path) == 403
    assert (await bob.post("stop/anna"))[0] == 403


async def cut_off(url: str, anna: Person, folder: Path) -> None:
    """root in a node is root in her machine; from there nothing leads to the host or to another's."""
    async with anna.terminal("terminal/hub") as hub:
        await hub.run("mknod /root/disk b $(tr : ' ' < /sys/block/vda/dev); mkdir -p /tmp/m")
        out = await hub.run("mount /root/disk /tmp/m && ls /tmp/m/etc")
        assert "passwd" in out, "a node is no boundary: the test has to stand in the machine"
        assert "No such file" in await hub.run(f"cat /tmp/m{folder}/secret /tmp/m/proc/1/root{folder}/secret")
    ports = [int(url.rstrip("/").rpartition(":")[2]), machine("bob")["port"]]
    addresses = {"10.0.2.2", "10.0.2.3", *own_addresses()}
    for port in ports:
        socket.create_connection(("127.0.0.1", port), 5).close()  # they are there to be reached
    places = [f"{address}:{port}" for address in sorted(addresses) for port in (*ports, 22, 53)]
    async with anna.terminal("terminal/machine") as shell:
        code = REACH.replace("\n", "\\n").replace('"', '\\"')
        await shell.run(f"printf '%b' $'{code}' > /tmp/reach.py; ip route add default via 10.0.2.2")
        out = await shell.run(f"python3 /tmp/reach.py 127.0.0.1:4545 {' '.join(places)}")
        assert re.findall("REACHED (.*)", out.replace("\r", "")) == ["127.0.0.1:4545"]
        assert out.count("cut off") == len(places)
        assert (await shell.run("ls /sys/block | grep -v loop | tr '\\n' ' '")).split()[:2] == ["vda", "done"]
        assert "No such file" in await shell.run(f"cat {folder}/secret")
        assert "No such process" in await shell.run(f"kill -9 {machine('bob')['pid']}")


async def breaks_only_her_own(anna: Person, bob: Person) -> None:
    """anna crashes her kernel; bob goes on, and she begins again."""
    async with anna.terminal("terminal/machine") as shell:
        await shell.line.send_bytes(b"sync; echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger\n")
        while (await shell.line.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pass
    async with bob.terminal("terminal/hub") as hub:
        assert "tunnel0" in await hub.run("ip -brief link")
    assert (await bob.post("do/check"))[0] == 202
    assert [task["done"] for task in (await bob.rest())["seen"]] == [False, False]


def own_addresses() -> list[str]:
    """This host's, but for the loopback's."""
    told = subprocess.run(["ip", "-4", "-json", "address"], capture_output=True, text=True, check=True).stdout
    found = [info["local"] for link in json.loads(told) for info in link["addr_info"]]
    return [address for address in found if not address.startswith("127.")]

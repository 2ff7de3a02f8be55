"""One learner's place in the class: machine, workshop, terminals, and what there is to tell of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import replace
from typing import Any

from dmvpn_lab.classroom import command
from dmvpn_lab.classroom.machine import OWN_SHELL, Machine
from dmvpn_lab.classroom.news import News
from dmvpn_lab.classroom.terminal import Terminal
from dmvpn_lab.errors import EXIT_CHECK_FAILED, EXIT_OK, DmvpnLabError, LabError, UsageError
from dmvpn_lab.workshop import progress
from dmvpn_lab.workshop.load import Loaded

BEGINS = "beginning"
LOG = 200
"""Lines that are kept."""
TEXT_LIMIT = 64 * 1024
"""Octets of a topology."""


class Seat:
    """One learner's."""

    def __init__(self, learner: str, machine: Machine, workshops: Mapping[str, Loaded], news: News) -> None:
        self.learner = learner
        self._machine = machine
        self._workshops = workshops
        self._news = news
        self._workshop: Loaded | None = None
        self.doing: str | None = None
        """What is going on, in words; nothing else can be begun meanwhile."""
        self._remade = False
        """Whether the lab is being made anew: there are no terminals meanwhile."""
        self._work: asyncio.Task[None] | None = None
        self._tasks: list[dict[str, Any]] = []
        self._checked_at: float | None = None
        self._log: deque[str] = deque(maxlen=LOG)
        self._terminals: dict[str, Terminal] = {}
        self._watched: list[tuple[str, str]] = []
        """(terminal, instructor), once for each view."""
        self.running = False
        """Whether the machine may run."""
        self.touched = time.monotonic()

    # --- what the learner does ----------------------------------------------------------------------

    async def start(self, name: str) -> None:
        """Start a workshop; the one before is taken down."""
        if name not in self._workshops:
            raise UsageError(f"there is no workshop {name!r}")
        loaded = self._workshops[name]
        with self._busy(f"starting {name}"):
            self.running = True
            if self._workshop is not None and self._workshop is not loaded:
                await self._leave_terminals()
                await self._command("down", self._workshop.plan.lab)
            self._forget_check()
            self._workshop = loaded
            if await self._command("workshop", "start", name) != EXIT_OK:
                self._workshop = None

    async def reset(self) -> None:
        """Begin the workshop again."""
        loaded = self._started()
        with self._busy(f"beginning {loaded.name} again"):
            await self._leave_terminals()
            self._forget_check()
            await self._command("workshop", "reset", loaded.name)

    async def check(self) -> None:
        """Look which tasks are done."""
        loaded = self._started()
        with self._busy("checking", remakes=False):
            code, out = await self._output("workshop", "check", loaded.name, "--json")
            if code in (EXIT_OK, EXIT_CHECK_FAILED) and (tasks := _tasks(out)):
                self._tasks, self._checked_at = tasks, time.time()

    async def apply(self, text: str) -> None:
        """Bring the lab to an edited topology."""
        loaded = self._started()
        if len(text.encode()) > TEXT_LIMIT:
            raise UsageError("a topology of more than 64 KiB")
        with self._busy("applying the topology"):
            path = self._topology(loaded)
            progress.write_whole(path, text)
            await self._leave_terminals()
            await self._command("up", str(path), "--no-verify")

    def hint(self) -> None:
        """One more hint is read."""
        loaded = self._started()
        entry = self._entry(loaded)
        read = min(entry.hints + 1, len(loaded.workshop.hints))
        progress.write(loaded.name, replace(entry, hints=read), self._machine.states())
        self.touch()

    async def stop(self, why: str) -> None:
        """End the machine, and with it the lab, whatever is going on. Progress stays."""
        self.cancel()
        while self.doing is not None:
            await self._news.next.wait()
        with self._busy("stopping"):
            self._say(why)
            await self.end()

    def begin(self, group: asyncio.TaskGroup, what: Coroutine[Any, Any, None], *, starts: bool) -> None:
        """Let one of the above go on by itself; what goes wrong is said to the learner.

        It is begun when this returns: who looks next finds the seat at it, and the machine's place taken.
        """
        ran, self.doing, self.running = self.running, BEGINS, self.running or starts
        self._work = group.create_task(self._carry_out(what))
        self._work.add_done_callback(lambda work: self._end_work(work, what, ran))

    async def _carry_out(self, what: Coroutine[Any, Any, None]) -> None:
        try:
            await what
        except (DmvpnLabError, OSError) as error:
            self._say(str(error))

    def _end_work(self, work: asyncio.Task[None], what: Coroutine[Any, Any, None], ran: bool) -> None:
        """What was refused, or cancelled before its first step, has changed nothing."""
        what.close()
        if self._work is not work:  # the next has begun
            return
        self._work = None
        if self.doing == BEGINS:
            self.doing, self.running = None, ran
            self._news.tell()

    def cancel(self) -> None:
        """Interrupt what is going on."""
        if self._work is not None:
            self._work.cancel()

    async def end(self) -> None:
        """End everything that runs for this learner, whatever it is at."""
        await self._leave_terminals()
        if self._machine.has_run():
            await self._command("machine", "stop")
        self.running, self._workshop = False, None
        self._forget_check()
        self._news.tell()

    def topology(self) -> str:
        """The text of the topology that is worked on."""
        loaded = self._started()
        path = self._topology(loaded)
        return path.read_text(encoding="utf-8") if path.is_file() else loaded.topology

    # --- terminals ----------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Of the terminals that there can be."""
        if self._workshop is None or self._remade:
            return []
        return [OWN_SHELL, *(node.name for node in self._workshop.plan.nodes)]

    async def terminal(self, name: str) -> Terminal:
        """An open terminal; started if it is not. Raises UsageError."""
        if name not in self.names() or self._workshop is None:
            raise UsageError(f"there is no terminal {name!r}")
        there = self._terminals.get(name)
        if there is not None:
            return there
        terminal = Terminal(lambda: self._gone(name, terminal))
        self._terminals[name] = terminal
        argv, folder = self._machine.terminal(name, self._workshop.plan.lab)
        try:
            await terminal.start(argv, self._machine.environment(), folder)
        except OSError as error:
            del self._terminals[name]
            raise LabError(f"no terminal: {error.strerror}") from error
        self.touch()
        return terminal

    def opened(self, name: str) -> Terminal:
        """A terminal that the learner has open, for a look. Raises UsageError."""
        if name not in self._terminals:
            raise UsageError(f"{self.learner} has no terminal {name!r} open")
        return self._terminals[name]

    def look(self, name: str, instructor: str, *, begins: bool) -> None:
        """An instructor's look begins, or ends: the learner is told."""
        (self._watched.append if begins else self._watched.remove)((name, instructor))
        self._news.tell()

    def typed(self) -> None:
        """The learner has typed."""
        self.touched = time.monotonic()

    def touch(self) -> None:
        """The learner does something that pages show."""
        self.typed()
        self._news.tell()

    # --- what is told -------------------------------------------------------------------------------

    def row(self) -> dict[str, Any]:
        """For the instructor's board."""
        loaded = self._workshop
        kept = progress.read(self._machine.states())
        return {
            "learner": self.learner,
            "state": self.doing or ("running" if self.running else "off"),
            "workshop": loaded.name if loaded else None,
            "done": sum(bool(task["done"]) for task in self._tasks),
            "tasks": len(loaded.workshop.tasks) if loaded else 0,
            "checked_at": self._checked_at,
            "hints": self._entry(loaded).hints if loaded else 0,
            "passed": sorted(name for name, entry in kept.items() if entry.state == "passed"),
            "solved": sorted(name for name, entry in kept.items() if entry.solved),
            "terminals": sorted(self._terminals),
            "idle_min": int((time.monotonic() - self.touched) // 60) if self.running else None,
        }

    def page(self) -> dict[str, Any]:
        """For the learner's page."""
        loaded = self._workshop
        return {
            "learner": self.learner,
            "doing": self.doing,
            "running": self.running,
            "workshop": loaded and {
                "name": loaded.name,
                "title": loaded.workshop.title,
                "text": (loaded.folder / "README.md").read_text(encoding="utf-8"),
                "tasks": [task.task for task in loaded.workshop.tasks],
                "hints": list(loaded.workshop.hints[: self._entry(loaded).hints]),
                "all_hints": len(loaded.workshop.hints),
            },
            "seen": self._tasks,
            "checked_at": self._checked_at,
            "terminals": self.names(),
            "watched": sorted({f"{who} looks at {name}" for name, who in self._watched}),
            "log": list(self._log),
            "states": {name: entry.state for name, entry in progress.read(self._machine.states()).items()},
        }  # fmt: skip

    # --- parts --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _busy(self, what: str, *, remakes: bool = True) -> Iterator[None]:
        """What the seat is at, for the length of a block. Raises UsageError when it is at something."""
        if self.doing not in (None, BEGINS):
            raise UsageError(f"not now: {self.doing}")
        self.doing, self._remade = what, remakes
        self.touch()
        try:
            yield
        finally:
            self.doing, self._remade = None, False
            self.touch()

    def _started(self) -> Loaded:
        if self._workshop is None:
            raise UsageError("no workshop is started")
        return self._workshop

    def _entry(self, loaded: Loaded) -> progress.Entry:
        return progress.read(self._machine.states()).get(loaded.name, progress.Entry())

    def _topology(self, loaded: Loaded) -> Any:
        return progress.topology(loaded.name, self._machine.states())

    def _forget_check(self) -> None:
        self._tasks, self._checked_at = [], None

    def _say(self, line: str) -> None:
        self._log.append(line)
        self._news.tell()

    async def _command(self, *words: str) -> int:
        """A command whose output is for the learner; what it cannot do is said."""
        code, out = await self._output(*words)
        for line in out.splitlines()[-LOG:]:
            self._say(line)
        return code

    async def _output(self, *words: str) -> tuple[int, str]:
        self._say(f"$ dmvpn-lab {' '.join(words)}")
        try:
            return await command.run(
                self._machine.argv(*words), self._machine.environment(), self._machine.folder, self._say
            )
        except (DmvpnLabError, OSError) as error:
            self._say(str(error))
            return EXIT_CHECK_FAILED, ""

    async def _leave_terminals(self) -> None:
        await asyncio.gather(*(terminal.end() for terminal in tuple(self._terminals.values())))

    def _gone(self, name: str, terminal: Terminal) -> None:
        if self._terminals.get(name) is terminal:
            del self._terminals[name]
        self._news.tell()


def _tasks(out: str) -> list[dict[str, Any]]:
    """What a check has printed; nothing for what is no such list: it comes out of a learner's machine."""
    try:
        told = json.loads(out)
        return [
            {"task": str(each["task"]), "done": each["done"] is True, "observed": str(each["observed"])}
            for each in told
        ]
    except (ValueError, TypeError, KeyError):
        return []

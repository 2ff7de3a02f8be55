"""Follows a running lab: what its agents tell, and what has to be asked because they told it.

One connection a router carries its events, our questions and its answers. Nothing is asked in a
rhythm, but for counters that no event tells of, every REFRESH_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from dmvpn_lab import answers
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.errors import LabError, UsageError, first_error
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import RunningLab
from dmvpn_lab.watch.frame import VERSION
from dmvpn_lab.watch.state import ROUTING, LabState, spoken_by

GAP_S = 0.25
"""Between two frames, at least: what happens within it is in one frame."""
REFRESH_S = 10.0
"""Without news, everything is asked again and a frame is sent."""
FIRST_S = 20.0
"""The first frame waits so long for a router that does not answer."""
RECONNECT_S = 1.0
"""Between tries to reach an agent that is not there: nothing tells when it comes."""
HISTORY = 50
"""Past events of each router that are told at the beginning."""
PROGRAMS = 2
"""Routing daemons that are asked at a time: each question is a process."""

GONE = (LabError, UsageError, ConnectionError)
"""What a backend says of a node that has gone: its agent, the node, the whole lab."""
Line = dict[str, Any]
Emit = Callable[[Line], None]


class Feed:
    """One lab; `run` emits the lines that frame.py describes."""

    def __init__(self, lab: RunningLab, emit: Emit, *, gap_s: float = GAP_S) -> None:
        self._lab = lab
        self._emit = emit
        self._gap_s = gap_s
        self._state = LabState(lab.plan)
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._waiting: set[tuple[str, str]] = set()
        """Questions that have no answer yet."""
        self._again: set[tuple[str, str]] = set()
        """Questions to put."""
        self._silent = {node.name for node in lab.plan.agents()}
        """Routers that neither answered nor failed yet."""
        self._last: dict[str, float] = {}
        """Time of the newest event of each router."""
        self._changed = asyncio.Event()
        self._ended: str | None = None
        self._programs = asyncio.Semaphore(PROGRAMS)

    async def run(self, *, once: bool = False) -> None:
        """Emit frames and events until the lab is gone; with `once` one frame. Raises LabError."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._frames(group, once))]
                for node in self._lab.plan.agents():
                    tasks.append(group.create_task(self._follow(node.name, once)))
                    if not once and any(q.startswith(ROUTING) for q in self._state.questions(node.name)):
                        tasks.append(group.create_task(self._routes(node.name)))
                await tasks[0]
                for task in tasks[1:]:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        if self._ended is not None:
            self._emit({"v": VERSION, "ended": self._ended})

    # --- frames -------------------------------------------------------------------------------------

    async def _frames(self, group: asyncio.TaskGroup, once: bool) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                while self._silent or self._waiting or self._again:
                    self._put_questions(group)
                    await self._change()
        while self._ended is None:
            self._emit({"v": VERSION, "frame": self._state.frame(time.time())})
            if once:
                return
            await asyncio.sleep(self._gap_s)
            await self._news()
            await self._answers(group)

    async def _news(self) -> None:
        """Return when something has happened; ask for everything when nothing has for long."""
        if self._again:
            return
        try:
            async with asyncio.timeout(REFRESH_S):
                await self._change()
        except TimeoutError:
            for node in self._writers:
                self._ask_again(node, self._state.questions(node))

    async def _answers(self, group: asyncio.TaskGroup) -> None:
        """Ask what has to be asked, and wait for the answers; but not for ever for a router that hangs."""
        self._put_questions(group)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_S):
                while self._waiting:
                    await self._change()

    async def _change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def _ask_again(self, node: str, questions: Iterable[str]) -> None:
        self._again.update((node, each) for each in questions)
        self._changed.set()

    def _put_questions(self, group: asyncio.TaskGroup) -> None:
        """Put each question once, until it is answered."""
        for node, question in sorted(self._again - self._waiting):
            self._again.discard((node, question))
            if node not in self._writers:
                continue
            self._waiting.add((node, question))
            if question.startswith(ROUTING):
                group.create_task(self._ask_program(node, question))
            else:
                request = {"v": answers.VERSION, "id": question, "query": question}
                self._writers[node].write(json.dumps(request).encode() + b"\n")

    # --- agents -------------------------------------------------------------------------------------

    async def _follow(self, node: str, once: bool) -> None:
        """Stay connected with an agent; one that restarts is followed again."""
        while self._ended is None:
            try:
                await self._converse(node, HISTORY if not once else 0)
            except GONE:
                pass
            finally:
                self._gone(node)
            self._ended = self._end()
            self._changed.set()
            await asyncio.sleep(RECONNECT_S)

    async def _converse(self, node: str, history: int) -> None:
        """Read what an agent says until it goes. Raises LabError when it cannot be reached."""
        reader, writer = await self._lab.backend.open(self._lab.plan.lab, node)
        try:
            request = {"v": answers.VERSION, "id": "events", "subscribe": True, "replay": history}
            writer.write(json.dumps(request).encode() + b"\n")
            self._writers[node] = writer
            self._ask_again(node, self._state.questions(node))
            while (line := await reader.readline()).endswith(b"\n"):
                said = json.loads(line)
                if "event" in said:
                    self._event({"node": node, **said})
                elif said["id"] in answers.QUERIES:
                    self._answer(node, said)
        finally:
            writer.close()

    def _event(self, event: Line) -> None:
        node = event["node"]
        if event["at"] <= self._last.get(node, 0.0):
            return  # told before the agent was followed anew
        self._last[node] = event["at"]
        self._emit({"v": VERSION, "event": event})
        self._ask_again(node, self._state.heard(event))

    def _answer(self, node: str, said: Line) -> None:
        question = said["id"]
        if said["ok"]:
            spoken = spoken_by(self._lab.plan, node).get(question)
            if spoken is None:
                self._state.answered(node, question, said["result"], time.time())
            else:
                self._neighbours(node, spoken, json.dumps(said["result"]))
        self._done(node, question)

    def _neighbours(self, node: str, spoken: str, text: str) -> None:
        """What a router says of its neighbours; none when it is not what it should be."""
        try:
            self._state.neighbours(node, spoken, protocol(spoken).parse(text))
        except ValueError:
            self._state.neighbours(node, spoken, ())

    def _done(self, node: str, question: str) -> None:
        self._waiting.discard((node, question))
        if not any(asked == node for asked, _ in self._waiting | self._again):
            self._silent.discard(node)
        self._changed.set()

    def _gone(self, node: str) -> None:
        self._writers.pop(node, None)
        self._state.lost(node)
        self._silent.discard(node)
        for questions in (self._waiting, self._again):
            questions -= {each for each in questions if each[0] == node}
        self._changed.set()

    def _end(self) -> str | None:
        """Why the lab cannot be followed any more."""
        folder, name = LabFolder(self._lab.plan.lab), self._lab.plan.lab
        if not folder.path.is_dir():
            return f"lab {name} was taken down"
        plan = folder.plan()
        if plan is not None and plan.digest != self._lab.plan.digest:
            return f"lab {name} was started anew with another topology"
        return None

    # --- routing daemons ----------------------------------------------------------------------------

    async def _ask_program(self, node: str, question: str) -> None:
        """The neighbours as a routing daemon prints them; none when it does not answer."""
        name = question.removeprefix(ROUTING)
        text = ""
        with contextlib.suppress(*GONE):
            async with self._programs:
                text = (await self._lab.exec(node, *protocol(name).show_argv())).stdout
        self._neighbours(node, name, text)
        self._done(node, question)

    async def _routes(self, node: str) -> None:
        """A routing daemon tells nothing of its neighbours; the routes that they bring do."""
        questions = [each for each in self._state.questions(node) if each.startswith(ROUTING)]

        def heard(_: object) -> None:
            self._ask_again(node, questions)

        while self._ended is None:
            with (
                contextlib.suppress(*GONE),
                self._lab.backend.routes(self._lab.plan.lab, node, heard) as ended,
            ):
                await ended.wait()
            await asyncio.sleep(RECONNECT_S)

"""Runs the steps of a scenario on a running lab: prove absent, act, prove present.

Before an act every `expect` up to the next act is looked at: what is so already cannot be caused,
and the run ends there. Events are left out of that: only those after the act count. Looks that
send packets come first, so that the quiet ones also see what such a packet has caused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.faults import base
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.scenario import conditions, deadlines, model, words
from dmvpn_lab.scenario.acts import Acts
from dmvpn_lab.scenario.conditions import Scene, Seen
from dmvpn_lab.scenario.model import ACTS, Act, Condition, Scenario, Step, step_word
from dmvpn_lab.scenario.timeline import Security, StepResult, Timeline, Verdict

STEP_S = 0.5
"""The longest between two looks while no agent says anything."""
Tell = Callable[[StepResult], None]
Say = Callable[[str, str], None]


async def run(lab: RunningLab, watch: Watch, scenario: Scenario, tell: Tell, say: Say) -> Timeline:
    """Every step in order, up to the first that fails; `tell` hears each result as it comes.

    What lasts is taken back at the end, also when the run is cancelled, and `say` is told of it.
    Raises UsageError when the lab has faults already, or a condition cannot be looked at.
    """
    if base.in_force(lab):
        raise UsageError("the lab has faults in force", hint="dmvpn-lab inject undo --all")
    runner = Runner(lab, watch, scenario, tell)
    try:
        await runner.run()
    finally:
        runner.timeline.undone = await runner.acts.take_back_all(lambda what: say("at the end", what))
        runner.keep_what_was_told()
    return runner.timeline


class Runner:
    """One run."""

    def __init__(self, lab: RunningLab, watch: Watch, scenario: Scenario, tell: Tell) -> None:
        self.timeline = Timeline(scenario.scenario, scenario.title, lab.plan.lab, time.time())
        self.acts = Acts(lab)
        self._lab, self._watch, self._steps, self._tell = lab, watch, scenario.steps, tell
        self._since = self._zero = self.timeline.began
        self._leases = False
        """After the last act addresses may be leased anew."""

    async def run(self) -> None:
        """The steps, and those that a failure leaves undone."""
        self.timeline.start = await security(self._lab)
        for number, step in enumerate(self._steps):
            if not await self._step(number, step):
                break
        for number in range(len(self.timeline.steps), len(self._steps)):
            self._record(number, "not run", "")

    def keep_what_was_told(self) -> None:
        """The events and routes of the run become part of its timeline."""
        began = self.timeline.began
        told = [event for event in self._watch.seen if event["at"] >= began]
        self.timeline.events = sorted(told, key=lambda event: float(event["at"]))
        self.timeline.routes = [each for each in self._watch.routes if each.at >= began]

    async def _step(self, number: int, step: Step) -> bool:
        """Run one; whether the run goes on."""
        match step:
            case model.Expect():
                return await self._until(number, step.expect, step.within)
            case model.Settle():
                return await self._until(number, step.settle, step.within)
            case model.Absent():
                return await self._all_the_time(number, step.absent, step.for_, so=False)
            case model.Hold():
                return await self._all_the_time(number, step.hold, step.for_, so=True)
            case _:
                return await self._prove_absent(number) and await self._act(number, step)

    async def _prove_absent(self, number: int) -> bool:
        """Whether nothing of what the act should cause is so before it."""
        for at in sorted(caused_by(self._steps, number), key=self._is_quiet):
            condition = _expected(self._steps[at])
            seen = await self._look(condition)
            if seen.so:
                for between in range(number, at):
                    self._record(between, "not run", "")
                self._record(at, "already", seen.words, time.time())
                return False
        return True

    def _is_quiet(self, at: int) -> bool:
        return conditions.quiet(_expected(self._steps[at]))

    async def _act(self, number: int, step: Act) -> bool:
        began = time.time()
        try:
            done, self._leases = await self.acts.do(step)
            verdict: Verdict = "passed"
        except LabError as error:
            done, verdict = error.message, "failed"
        ended = time.time()
        # A line's address changes with the last of many commands, what others do with the first.
        moved = self._leases and not isinstance(step, model.Trigger)
        self._since, self._zero = began, ended if moved else began
        return self._record(number, verdict, done, began, ended, ended - began)

    async def _until(self, number: int, condition: Condition, within: float | None) -> bool:
        """Look until it is so or the deadline is over."""
        began, clock = time.time(), time.monotonic()
        deadline_s = within
        if deadline_s is None:
            deadline_s = deadlines.derived_s(self._lab.plan, condition, leases=self._leases)
        while True:
            seen = await self._look(condition)
            left_s = deadline_s - (time.monotonic() - clock)
            if seen.so or left_s <= 0:
                break
            await self._watch.wait(min(STEP_S, left_s))
        verdict: Verdict = "passed" if seen.so else "failed"
        at = (seen.at or time.time()) if seen.so else None
        after_s = None if at is None else at - self._zero
        return self._record(number, verdict, seen.words, began, at, after_s, deadline_s)

    async def _all_the_time(self, number: int, condition: Condition, for_s: float, *, so: bool) -> bool:
        """Look again and again for so long; at least once."""
        began, clock = time.time(), time.monotonic()
        while True:
            seen = await self._look(condition)
            left_s = for_s - (time.monotonic() - clock)
            if seen.so != so or left_s <= 0:
                break
            await self._watch.wait(min(STEP_S, left_s))
        ended = time.time()
        verdict: Verdict = "passed" if seen.so == so else "failed"
        when = f"after {ended - began:.1f} s: " if verdict == "failed" and for_s else ""
        took_s, of_s = ended - began, for_s or None
        return self._record(number, verdict, when + seen.words, began, ended, took_s, of_s)

    async def _look(self, condition: Condition) -> Seen:
        return await conditions.look(condition, Scene(self._lab, self._watch, self._since))

    def _record(
        self, number: int, verdict: Verdict, observed: str, began: float | None = None,
        so_at: float | None = None, after_s: float | None = None, deadline_s: float | None = None,
    ) -> bool:  # fmt: skip
        """Keep and tell a result; whether the run goes on."""
        step = self._steps[number]
        result = StepResult(
            number + 1, str(step_word(step)), step.name or words.step(step), verdict, observed,
            self._in_run(began), self._in_run(so_at),
            None if after_s is None else round(max(0.0, after_s), 3), deadline_s,
        )  # fmt: skip
        self.timeline.steps.append(result)
        self._tell(result)
        return verdict == "passed"

    def _in_run(self, at: float | None) -> float | None:
        """Seconds since the run began."""
        return None if at is None else round(at - self.timeline.began, 3)


def caused_by(steps: Sequence[Step], number: int) -> list[int]:
    """The `expect` steps after an act and before the next, but for those that wait for events."""
    found = []
    for at in range(number + 1, len(steps)):
        step = steps[at]
        if isinstance(step, ACTS):
            break
        if isinstance(step, model.Expect) and not isinstance(step.expect, model.EventHappened):
            found.append(at)
    return found


async def security(lab: RunningLab) -> list[Security]:
    """Every router's NBMA addresses and IPsec peers now."""
    found = []
    for router in lab.plan.agents():
        tunnels = (await lab.query(router.name, "status"))["tunnels"]
        peers = await lab.query(router.name, "ipsec") if _protected(lab, router.name) else []
        nbma = tuple(dict.fromkeys(str(each["nbma"]) for each in tunnels if each["nbma"]))
        found.append(Security(router.name, nbma, tuple(sorted({str(each["nbma"]) for each in peers}))))
    return found


def _protected(lab: RunningLab, node: str) -> bool:
    return any(lab.plan.cloud(tunnel.cloud).ipsec for tunnel in lab.plan.node(node).tunnels)


def _expected(step: Step) -> Condition:
    assert isinstance(step, model.Expect)
    return step.expect

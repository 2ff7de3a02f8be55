"""Looks at a learner's lab once: which tasks are done, and what is there instead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dmvpn_lab.errors import LabError
from dmvpn_lab.running import Event, RunningLab, Watch
from dmvpn_lab.scenario import conditions, model, words
from dmvpn_lab.scenario.conditions import Scene
from dmvpn_lab.scenario.model import Condition
from dmvpn_lab.workshop.model import Task, Workshop


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """What was seen of a task."""

    task: str
    done: bool
    observed: str


async def observe(lab: RunningLab, workshop: Workshop) -> list[TaskSeen]:
    """Every task, looked at once, all at the same time."""
    watch = Watch(lab)
    if any(
        isinstance(each, model.EventHappened) for task in workshop.tasks for each in task.done + task.absent
    ):
        past = await asyncio.gather(*(_past(lab, router.name) for router in lab.plan.agents()))
        watch.seen = sorted((event for events in past for event in events), key=lambda e: e["at"])
    scene = Scene(lab, watch, 0.0)
    return list(await asyncio.gather(*(_task(task, scene) for task in workshop.tasks)))


async def _task(task: Task, scene: Scene) -> TaskSeen:
    wanted = [(condition, True) for condition in task.done]
    wanted += [(condition, False) for condition in task.absent]
    seen = await asyncio.gather(*(conditions.look(condition, scene) for condition, _ in wanted))
    for (condition, so), each in zip(wanted, seen, strict=True):
        if each.so is not so:
            return TaskSeen(task.task, False, _differs(condition, so, each.words))
    return TaskSeen(task.task, True, "; ".join(each.words for each in seen[: len(task.done)]))


def _differs(condition: Condition, so: bool, observed: str) -> str:
    return f"{'wanted' if so else 'not wanted'}: {words.condition(condition)}; there is: {observed}"


async def _past(lab: RunningLab, node: str) -> list[Event]:
    """The events that an agent remembers; none of an agent that does not answer."""
    try:
        return await lab.past(node)
    except (LabError, OSError):
        return []

"""Brings a lab up, verifies it, takes it down. Knows no terminal."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from dmvpn_lab import checks
from dmvpn_lab.backends import NAMES, backend
from dmvpn_lab.backends.base import Backend, NodeFiles
from dmvpn_lab.backends.containerlab import ContainerlabBackend
from dmvpn_lab.backends.state import LabFolder, locked
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.errors import DmvpnLabError, UsageError
from dmvpn_lab.render import containerlab
from dmvpn_lab.render.files import files
from dmvpn_lab.running import RunningLab, watching
from dmvpn_lab.running import find as find  # where it is, for those who need no more of this
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.part import part
from dmvpn_lab.spec.plan_types import Plan

PACKAGE = Path(__file__).resolve().parent
Progress = Callable[[str, str], None]
FINGERPRINT = "fingerprint"
CUT = ("ip", "link", "set", "group", "default", "down")
"""All links of a node."""
CUT_S = 10.0


@dataclass(frozen=True, slots=True)
class UpResult:
    """What `up` did."""

    lab: RunningLab
    started: bool
    """False: it was running as it should, nothing was done."""
    seconds: float


def bundled_topologies() -> Path:
    """`topologies/` of a checkout, or its copy in an installed wheel."""
    installed = PACKAGE / "_topologies"
    return installed if installed.is_dir() else PACKAGE.parent / "topologies"


def find_topology(name: str) -> Path:
    """A path as it is, or the bundled topology of that name. Raises UsageError."""
    path = Path(name)
    if os.path.isfile(path):  # False for what is too long to be one
        return path
    bundled = bundled_topologies() / f"{name}.yml"
    if os.path.isfile(bundled) and "/" not in name:
        return bundled
    names = sorted(each.stem for each in bundled_topologies().glob("*.yml"))
    close = difflib.get_close_matches(name.removesuffix(".yml"), names, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    problem = f"{name} is no file" if os.path.exists(name) else f"there is no topology {name!r}"
    raise UsageError(problem, hint=f"{hint}name a file, or one of: {', '.join(names)}")


async def up(topology: str, backend_name: str, progress: Progress, only: Collection[str] = ()) -> UpResult:
    """Make the lab of a topology run, or the part of it with `only` these routers.

    One that runs as it should is left alone. A running lab whose topology has changed, or for which
    this version of the program writes other files, is taken down and started anew.
    """
    plan = wanted_plan(topology, backend_name, progress, only)
    chosen = backend(backend_name)
    rendered = files(plan)
    wanted = _fingerprint(plan, rendered)
    began = time.monotonic()
    with locked(plan.lab):
        folder = LabFolder(plan.lab)
        lab = RunningLab(plan, chosen)
        running = folder.read_json(FINGERPRINT)
        here = folder.read_json("backend") in (None, backend_name)
        if here and running == wanted and await _whole(lab):
            return UpResult(lab, False, time.monotonic() - began)
        before = folder.read_json("backend") or backend_name
        if await _end(backend(before), plan.lab):
            progress("restart", _why(running, wanted))
        await chosen.up(plan, rendered, progress)
        folder.write_plan(plan)
        folder.write_json(FINGERPRINT, wanted)
        folder.write_json("backend", backend_name)
    return UpResult(lab, True, time.monotonic() - began)


def wanted_plan(topology: str, backend_name: str, progress: Progress, only: Collection[str] = ()) -> Plan:
    """What `up` is to make run. Raises UsageError and TopologyError; needs no kernel that runs labs."""
    if backend_name not in NAMES:
        raise UsageError(f"unknown backend {backend_name!r}", hint=f"there is: {', '.join(NAMES)}")
    plan = planner.read(find_topology(topology))
    if only:
        plan = part(plan, only)
        progress("part", f"left out: {', '.join(plan.left_out) or 'nothing'}")
    _require_runnable(plan, backend_name)
    return plan


def _require_runnable(plan: Plan, backend_name: str) -> None:
    """Raises UsageError for a router of another image on a backend that has only ours."""
    external = [node.name for node in plan.nodes if node.external is not None]
    if external and backend_name != containerlab.NAME:
        raise UsageError(
            f"{', '.join(external)}: an external router runs with containerlab only, not on {backend_name}",
            hint="--backend containerlab, or leave it out with --node-filter",
        )


def _fingerprint(plan: Plan, rendered: NodeFiles) -> str:
    """Tells whether a running lab is the one that is wanted: its plan and the files in its nodes."""
    text = plan.digest + json.dumps(rendered, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _why(running: str | None, wanted: str) -> str:
    if running is None:
        return "an earlier start was cut off"
    return "some of its nodes were dead" if running == wanted else "it has changed"


async def adopt(topology: Path, folder: Path, progress: Progress) -> RunningLab:
    """Take over a lab that containerlab runs, rendered from a topology into a folder."""
    plan = planner.read(topology)
    chosen = ContainerlabBackend()
    deployed = (folder / containerlab.topology_file(plan)).resolve()
    with locked(plan.lab):
        await chosen.adopt(plan, deployed, progress)
        LabFolder(plan.lab).write_plan(plan)
    return RunningLab(plan, chosen)


async def verify(lab: RunningLab) -> AsyncIterator[CheckResult]:
    """Every check, in order; results as they come."""
    async with watching(lab) as watch:
        for check in checks.ALL:
            async for result in check.run(lab, watch):
                yield result


async def down(lab: str) -> bool:
    """Remove a lab in whatever state it is; False when there was nothing."""
    with locked(lab):
        return await _end(backend(LabFolder(lab).read_json("backend") or "netns"), lab)


async def _end(chosen: Backend, lab: str) -> bool:
    """Remove a lab. Where tunnels are protected the lines go first.

    While a namespace ends the kernel takes its filters away before its tunnels, and what these still
    have to say (that they leave a multicast group) would go out in clear.
    """
    plan = LabFolder(lab).plan()
    if plan is not None and plan.isp is not None and any(cloud.ipsec for cloud in plan.clouds):
        with contextlib.suppress(DmvpnLabError, OSError):  # of a lab that is half gone already
            await chosen.exec(lab, plan.isp, CUT, timeout_s=CUT_S)
    return await chosen.down(lab)


async def _whole(lab: RunningLab) -> bool:
    states = await lab.backend.nodes(lab.plan.lab)
    return len(states) == len(lab.plan.nodes) and all(state.running for state in states)

"""Nodes deployed by containerlab: its directory is rendered, the rest is as with Docker."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from dmvpn_lab.backends import child, leftovers, procfs
from dmvpn_lab.backends.base import NodeFiles, Progress
from dmvpn_lab.backends.docker import AT_ONCE, START_DEADLINE_S, DockerBackend
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.container import image
from dmvpn_lab.errors import HostError, LabError, UsageError
from dmvpn_lab.render import containerlab as render
from dmvpn_lab.spec.plan_types import Plan

PROGRAM = "containerlab"
DEPLOYED = "containerlab"
"""In the lab's folder: the topology file that was deployed."""
EXTERNAL = "external"
"""In the lab's folder: the nodes whose image is not ours."""


LIMITS = ("--max-workers", str(AT_ONCE), "--timeout", f"{START_DEADLINE_S:.0f}s")
"""By itself it makes all nodes at once, and gives up when Docker takes two minutes for one of them."""


class ContainerlabBackend(DockerBackend):
    """Nodes in containers that containerlab has made."""

    name = "containerlab"
    prefix = "clab"

    async def up(self, plan: Plan, files: NodeFiles, progress: Progress) -> None:
        """Render, deploy, and wait until each node said that it is ready."""
        program = _program()
        await asyncio.to_thread(self._client.ping)
        folder = LabFolder(plan.lab)
        folder.create()
        folder.write_json("backend", self.name)
        try:
            built = await asyncio.to_thread(image.ensure, lambda text: progress("image", text))
            place = folder.path / "clab"
            await asyncio.to_thread(render.write, place, render.directory(plan, files, built))
            topology = place / render.topology_file(plan)
            folder.write_json(DEPLOYED, str(topology))
            folder.write_json(EXTERNAL, _externals(plan))
            await _run([program, "deploy", *LIMITS, "--topo", str(topology)], progress)
            await self._wait(plan, await self._pids(plan), progress)
        except BaseException:
            await self.down(plan.lab)
            raise

    async def adopt(self, plan: Plan, topology: Path, progress: Progress) -> None:
        """Take over a lab that was deployed by hand. Raises LabError when it does not run."""
        pids = await self._pids(plan)
        folder = LabFolder(plan.lab)
        folder.create()
        try:
            folder.write_json("backend", self.name)
            folder.write_json(DEPLOYED, str(topology))
            folder.write_json(EXTERNAL, _externals(plan))
            await self._wait(plan, pids, progress)
        except BaseException:
            folder.remove()  # ours alone; the lab stays as it was
            raise

    async def down(self, lab: str) -> bool:
        """`containerlab destroy`; whatever it leaves goes as with Docker."""
        deployed = LabFolder(lab).read_json(DEPLOYED)
        program = shutil.which(PROGRAM)
        if deployed is not None and program is not None and await asyncio.to_thread(os.path.exists, deployed):
            with contextlib.suppress(LabError):  # it refuses where its containers have gone already
                await _run([program, "destroy", *LIMITS, "--topo", deployed, "--cleanup"], lambda *_: None)
        for container in await asyncio.to_thread(self._containers, lab):
            await asyncio.to_thread(self._remove, container)
        await asyncio.to_thread(leftovers.remove, self._client, lab)
        return await super().down(lab)

    def enter_argv(self, lab: str, node: str, argv: Sequence[str]) -> list[str]:
        """An external node is entered as it is: its image may have no setpriv, and other rights."""
        if node in (LabFolder(lab).read_json(EXTERNAL) or ()):
            return procfs.enter_argv(self._pid(lab, node), argv)
        return super().enter_argv(lab, node, argv)

    async def _pids(self, plan: Plan) -> dict[str, int]:
        return {node.name: await asyncio.to_thread(self._inspect, plan.lab, node.name) for node in plan.nodes}

    async def _wait(self, plan: Plan, pids: dict[str, int], progress: Progress) -> None:
        self._remember(plan.lab, pids)
        console = functools.partial(self.console, plan.lab)
        external = _externals(plan)
        ours = {name: pid for name, pid in pids.items() if name not in external}
        await procfs.wait_until_ready(ours, console, START_DEADLINE_S, progress)


def _externals(plan: Plan) -> list[str]:
    """The nodes whose image is not ours: they never say that they are ready."""
    return [node.name for node in plan.nodes if node.external is not None]


def read_directory(folder: Path) -> Path:
    """The topology of ours that a rendered directory was made from. Raises UsageError."""
    source = folder / render.TOPOLOGY
    if not source.is_file():
        raise UsageError(
            f"there is no rendered lab in {folder}: it has no {render.TOPOLOGY}",
            hint="name a directory that 'dmvpn-lab render --to containerlab' has written",
        )
    return source


def _program() -> str:
    """Where containerlab is. Raises HostError."""
    program = shutil.which(PROGRAM)
    if program is not None:
        return program
    if "DMVPN_LAB_INSIDE_MACHINE" in os.environ:  # what the host has installed is not there
        raise HostError(
            "this kernel has no GRE or ESP: the lab would run in the machine, which has no containerlab",
            hint="use --backend docker, or a host whose kernel has both; or put your containerlab into the "
            "machine as docs/containers.md says",
        )
    raise HostError(
        "containerlab is not installed",
        hint="install it (https://containerlab.dev/install), or use --backend docker",
    )


async def _run(argv: list[str], progress: Progress) -> None:
    """Run containerlab to its end; its lines are progress. Raises LabError with its last words.

    It ends with us, even when we are killed: it must not go on deploying what `down` removes.
    """
    running = await child.start(["setpriv", "--pdeathsig", "KILL", "--", *argv])
    assert running.stderr is not None
    words: list[str] = []
    try:
        drain = asyncio.ensure_future(running.stdout.read()) if running.stdout else None
        while line := (await running.stderr.readline()).decode(errors="replace"):
            words.append(line.rstrip())
            progress(PROGRAM, line.strip())
        if drain is not None:
            await drain
        code = await running.wait()
    finally:
        await child.end(running)
    if code != 0:
        raise LabError(f"'{' '.join(argv[:2])}' failed with {code}:\n" + "\n".join(words[-8:]))

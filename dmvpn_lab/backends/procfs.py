"""Reaches into nodes that are processes of this host, by /proc/PID: files, the agent, readiness.

What the backends whose nodes run here have in common, whatever has started them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from dmvpn_lab.backends import child
from dmvpn_lab.backends.base import ExecResult, Progress
from dmvpn_lab.errors import LabError

LINE_LIMIT = 64 << 20
"""Octets of one answer: a cache of thousands of spokes is one line."""
SOCKET = "run/dmvpn-lab/agent.sock"
READY = "run/dmvpn-lab/ready"
STEP_S = 0.05
SHARE = 0.05
"""Of a processor, at most, for looking whether nodes are ready: they need it for that."""
LastWords = Callable[[str], Awaitable[str]]
"""Node -> what its first process has printed."""


def enter_argv(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in the namespaces of a process."""
    return ["nsenter", "-t", str(pid), "-m", "-n", "-p", "-u", "-i", "-r", "-w", "--", *argv]


async def run(node: str, entering: Sequence[str], argv: Sequence[str], timeout_s: float) -> ExecResult:
    """Run `argv` in a node to its end by the host command `entering`. Raises LabError when time is up."""
    running = await child.start(entering)
    try:
        out, err = await asyncio.wait_for(running.communicate(), timeout_s)
    except TimeoutError:
        raise LabError(f"{node}: {argv[0]} took more than {timeout_s:.0f} s") from None
    finally:
        await child.end(running)
    return ExecResult(
        tuple(argv), running.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")
    )


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot: with it a PID is nobody else's. None: it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


async def put(pid: int, path: str, text: str) -> None:
    """Write a file as a process sees it, whole or not at all. Raises LabError."""
    try:
        await asyncio.to_thread(_replace, Path(f"/proc/{pid}/root"), PurePosixPath(path), text)
    except OSError as error:
        raise LabError(f"{path} cannot be written in the node: {error.strerror}") from error


async def open_agent(node: str, pid: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The agent's UNIX socket. Raises LabError."""
    try:
        return await asyncio.open_unix_connection(f"/proc/{pid}/root/{SOCKET}", limit=LINE_LIMIT)
    except OSError as error:
        raise LabError(f"{node}: its agent does not answer: {error.strerror}") from error


async def wait_until_ready(
    pids: Mapping[str, int], last_words: LastWords, deadline_s: float, progress: Progress
) -> None:
    """Wait for every node's word that it is ready.

    Raises LabError, with its log when one died; or when none became ready for `deadline_s`.
    """
    waiting = dict(pids)
    try:
        async with asyncio.timeout(deadline_s) as deadline:
            while True:
                began = time.thread_time()
                for name in [name for name, pid in waiting.items() if _is_ready(pid)]:
                    del waiting[name]
                    progress("ready", f"{len(pids) - len(waiting)} of {len(pids)} nodes: {name}")
                    deadline.reschedule(asyncio.get_running_loop().time() + deadline_s)
                if not waiting:
                    return
                await _all_live(waiting, last_words)
                spent_s = time.thread_time() - began
                await asyncio.sleep(max(STEP_S, spent_s / SHARE))
    except TimeoutError:
        raise LabError(
            f"no node became ready for {deadline_s:.0f} s; still starting: {', '.join(waiting)}",
            hint="a busy host takes longer; 'dmvpn-lab doctor' tells what this one has",
        ) from None


def _is_ready(pid: int) -> bool:
    return Path(f"/proc/{pid}/root", READY).exists()


async def _all_live(pids: Mapping[str, int], last_words: LastWords) -> None:
    """Raises LabError with the end of its log when a node has ended."""
    for name, pid in pids.items():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            words = await last_words(name) or "it left no log"
            tail = "\n".join(words.splitlines()[-8:])
            raise LabError(f"node {name} died while it started:\n{tail}") from None


def _replace(root: Path, path: PurePosixPath, text: str) -> None:
    """Through no symbolic link: it would lead to where it points to on this host. Raises OSError."""
    with contextlib.ExitStack() as stack:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, folder)
        for part in path.parent.parts[1:]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            folder = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            stack.callback(os.close, folder)
        temporary = f".{path.name}.part"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644, dir_fd=folder)
        with open(file, "w", encoding="utf-8") as writer:
            writer.write(text)
        os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)

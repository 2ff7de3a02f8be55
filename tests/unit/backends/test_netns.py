"""The netns backend, whole, with nodes that need no GRE: they run on any kernel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.backends.netns import QUIET_S, NetnsBackend
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.errors import HostError, LabError, UsageError
from dmvpn_lab.render import node as render_node
from tests.unit.backends.conftest import PlainLab

pytestmark = pytest.mark.root


def silent(phase: str, detail: str) -> None:
    pass


def start(lab: PlainLab) -> None:
    asyncio.run(lab.backend.up(lab.plan, lab.files, silent))


def run(lab: PlainLab, node: str, *argv: str, timeout_s: float = 20.0) -> ExecResult:
    return asyncio.run(lab.backend.exec(lab.plan.lab, node, argv, timeout_s=timeout_s))


def leftovers(name: str) -> list[str]:
    """All that a lab could leave behind on this host."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/{name}/" in line]
    folders = [str(p) for p in (LabFolder(name).path, Cgroup(name).path) if p.exists()]
    return mounts + folders


def in_node(pid: int) -> int:
    """A process's network namespace."""
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def with_service(lab: PlainLab, node: str, **service: object) -> PlainLab:
    """The same lab with one more program in a node."""
    path = render_node.PATH
    document = json.loads(lab.files[node][path])
    document["services"] = [{"after": [], "ready": None, "restart": False, "name": "extra", **service}]
    return replace(lab, files=lab.files | {node: {path: json.dumps(document)}})


def test_nodes_come_up_wired_and_reach_each_other(plain: PlainLab) -> None:
    start(plain)
    code = (
        "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "s.bind(('192.0.2.1', 7)); s.sendto(b'x', ('192.0.2.2', 7)); s.settimeout(5);"
        "\ntry: s.recv(10)\nexcept ConnectionRefusedError: print('answered')"
    )
    # The port is closed: the other node's kernel answers with ICMP, which reaches a connected socket.
    code = code.replace("s.sendto(b'x', ('192.0.2.2', 7))", "s.connect(('192.0.2.2', 7)); s.send(b'x')")
    assert run(plain, "one", sys.executable, "-c", code).stdout == "answered\n"


def test_each_node_has_a_name_a_file_system_and_a_first_process_of_its_own(plain: PlainLab) -> None:
    start(plain)
    assert run(plain, "one", "hostname").stdout == "one\n"
    assert run(plain, "one", "readlink", "/proc/self/ns/pid") != run(
        plain, "two", "readlink", "/proc/self/ns/pid"
    )
    assert run(plain, "one", "sh", "-c", "echo x > /etc/only-here").exit_code == 0
    assert run(plain, "two", "cat", "/etc/only-here").exit_code != 0
    assert not Path("/etc/only-here").exists()


def test_a_command_gives_back_its_exit_code_and_both_outputs(plain: PlainLab) -> None:
    start(plain)
    done = run(plain, "one", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_arguments_are_never_read_by_a_shell(plain: PlainLab) -> None:
    start(plain)
    assert run(plain, "one", "echo", "$HOME; exit 1", "a b").stdout == "$HOME; exit 1 a b\n"


def test_a_command_that_takes_too_long_is_ended_with_all_its_children(plain: PlainLab) -> None:
    start(plain)
    with pytest.raises(LabError, match="took more than 0 s"):
        run(plain, "one", "sh", "-c", "sleep 611 & sleep 611", timeout_s=0.3)
    assert "sleep 611" not in run(plain, "one", "ps", "ax", "-o", "args").stdout


def test_a_file_that_is_put_is_there_whole(plain: PlainLab) -> None:
    start(plain)
    asyncio.run(plain.backend.put(plain.plan.lab, "one", "/etc/new/place.conf", "text\n"))
    assert run(plain, "one", "cat", "/etc/new/place.conf").stdout == "text\n"
    assert run(plain, "one", "ls", "-A", "/etc/new").stdout == "place.conf\n"


def test_a_symbolic_link_of_a_node_leads_nothing_that_is_put_to_this_host(
    plain: PlainLab, tmp_path: Path
) -> None:
    start(plain)
    (tmp_path / "mine").write_text("kept")
    for link, target in (("/etc/folder", tmp_path), ("/etc/.file.part", tmp_path / "mine")):
        assert run(plain, "one", "ln", "-s", str(target), link).exit_code == 0
    for path in ("/etc/folder/mine", "/etc/file"):
        with pytest.raises(LabError, match=f"^{path} cannot be written in the node: "):
            asyncio.run(plain.backend.put(plain.plan.lab, "one", path, "overwritten"))
    assert (tmp_path / "mine").read_text() == "kept"


def test_down_leaves_nothing_and_may_be_repeated(plain: PlainLab) -> None:
    start(plain)
    pids = [state.pid for state in asyncio.run(plain.backend.nodes(plain.plan.lab))]
    assert asyncio.run(plain.backend.down(plain.plan.lab)) is True
    assert leftovers(plain.plan.lab) == []
    assert not any(Path(f"/proc/{pid}/ns/net").exists() for pid in pids)
    assert asyncio.run(plain.backend.down(plain.plan.lab)) is False


def test_nodes_tells_which_are_dead(plain: PlainLab) -> None:
    start(plain)
    states = {state.name: state for state in asyncio.run(plain.backend.nodes(plain.plan.lab))}
    assert all(state.running for state in states.values())
    pid = states["two"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in Cgroup(plain.plan.lab).pids())
    states = {state.name: state for state in asyncio.run(plain.backend.nodes(plain.plan.lab))}
    assert (states["one"].running, states["two"].running) == (True, False)


def test_a_command_in_a_dead_node_says_that_it_is_dead(plain: PlainLab) -> None:
    start(plain)
    pids = LabFolder(plain.plan.lab).read_json("pids")
    os.kill(pids["two"], signal.SIGKILL)
    wait_until(lambda: pids["two"] not in Cgroup(plain.plan.lab).pids())
    with pytest.raises(LabError, match="two is dead"):
        run(plain, "two", "true")


def test_a_pid_that_is_another_programs_by_now_is_not_entered(plain: PlainLab) -> None:
    start(plain)
    folder = LabFolder(plain.plan.lab)
    folder.write_json("pids", folder.read_json("pids") | {"two": os.getpid()})
    with pytest.raises(LabError, match="two is dead"):
        run(plain, "two", "true")


def test_an_unknown_node_is_an_error_of_usage_that_lists_the_nodes(plain: PlainLab) -> None:
    start(plain)
    with pytest.raises(UsageError, match="no node 'three'") as caught:
        run(plain, "three", "true")
    assert "one, two" in (caught.value.hint or "")


def test_a_lab_that_runs_is_not_started_again_over_itself(plain: PlainLab) -> None:
    start(plain)
    with pytest.raises(UsageError, match="running already"):
        start(plain)
    assert run(plain, "one", "true").exit_code == 0


def test_two_labs_do_not_meet(plain: PlainLab) -> None:
    other = replace(plain, plan=replace(plain.plan, lab=f"{plain.plan.lab}-b"))
    start(plain)
    try:
        start(other)
        ours = LabFolder(plain.plan.lab).read_json("pids")
        theirs = LabFolder(other.plan.lab).read_json("pids")
        assert in_node(ours["one"]) != in_node(theirs["one"])
        asyncio.run(plain.backend.down(plain.plan.lab))
        assert run(other, "one", "true").exit_code == 0
    finally:
        asyncio.run(other.backend.down(other.plan.lab))


def test_a_node_that_dies_while_it_starts_is_an_error_with_its_last_words(plain: PlainLab) -> None:
    broken = with_service(plain, "two", name="failing", argv=["sh", "-c", "echo my last words; exit 5"],
                          ready="/run/never")  # fmt: skip
    began = time.monotonic()
    with pytest.raises(LabError, match="node two died") as caught:
        start(broken)
    assert "my last words" in str(caught.value)
    assert time.monotonic() - began < 10
    assert leftovers(plain.plan.lab) == []


def test_a_node_killed_while_it_starts_is_noticed_at_once(plain: PlainLab) -> None:
    waiting = with_service(plain, "two", argv=["sleep", "600"], ready="/run/never")

    async def kill_it() -> float:
        starting = asyncio.ensure_future(plain.backend.up(plain.plan, waiting.files, silent))
        while LabFolder(plain.plan.lab).read_json("pids") is None:  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.01)
        os.kill(LabFolder(plain.plan.lab).read_json("pids")["two"], signal.SIGKILL)
        killed = time.monotonic()
        with pytest.raises(LabError, match="node two died"):
            await starting
        return time.monotonic() - killed

    assert asyncio.run(kill_it()) < QUIET_S / 4  # so long it waits for a node that lives and is not ready
    assert leftovers(plain.plan.lab) == []


def test_a_link_to_nowhere_takes_down_what_was_started(plain: PlainLab) -> None:
    link = plain.plan.links[0]
    wrong = replace(plain.plan, links=(replace(link, a=replace(link.a, interface="n" * 16)),))
    with pytest.raises(LabError, match="link"):
        asyncio.run(plain.backend.up(wrong, plain.files, silent))
    assert leftovers(plain.plan.lab) == []


def test_without_root_it_says_so(plain: PlainLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="needs root"):
        start(plain)


def test_a_full_disk_is_an_error_of_the_host_and_leaves_nothing(
    plain: PlainLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: str) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(HostError, match="No space left on device"):
        start(plain)
    monkeypatch.undo()
    assert leftovers(plain.plan.lab) == []


@pytest.mark.parametrize("phase", ["folder", "cgroup", "nodes", "links", "ready"])
def test_cancelling_at_any_time_leaves_nothing(plain: PlainLab, phase: str) -> None:
    """As Ctrl-C does: the task is cancelled, and whatever was made is gone when it ends."""
    name = plain.plan.lab
    signs: dict[str, Callable[[], bool]] = {
        "folder": LabFolder(name).path.exists,
        "cgroup": Cgroup(name).path.exists,
        "nodes": lambda: len(Cgroup(name).pids()) >= 2,
        "links": lambda: LabFolder(name).read_json("pids") is not None,
        "ready": lambda: False,
    }
    reached = False

    def progress(at: str, _: str) -> None:
        nonlocal reached
        reached = reached or at == phase

    async def interrupted() -> None:
        task = asyncio.ensure_future(plain.backend.up(plain.plan, plain.files, progress))
        while not (reached or signs[phase]() or task.done()):  # noqa: ASYNC110 - looks at files
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    if asyncio.run(plain.backend.down(name)):
        assert phase == "ready", "up left something behind"
    time.sleep(0.5)  # a thread that went on would make it again
    assert leftovers(name) == []


UP = """
import asyncio, sys
from dmvpn_lab.backends.netns import NetnsBackend
from tests.unit.backends.plain import plain_files, plain_plan
plan = plain_plan(sys.argv[1])
asyncio.run(NetnsBackend("/").up(plan, plain_files(plan), lambda *_: print("progress", flush=True)))
"""


@pytest.mark.parametrize("after_ms", [0, 50, 100, 150, 200, 250, 300])
def test_down_cleans_up_after_a_controller_that_was_killed(plain: PlainLab, after_ms: int) -> None:
    name = plain.plan.lab
    with subprocess.Popen([sys.executable, "-c", UP, name], stdout=subprocess.DEVNULL) as controller:
        wait_until(lambda: LabFolder(name).path.exists())
        time.sleep(after_ms / 1000)
        controller.kill()
    assert asyncio.run(plain.backend.down(name)) is True
    time.sleep(0.3)  # what was being started must not appear after the end
    assert leftovers(name) == []
    start(plain)
    assert run(plain, "one", "true").exit_code == 0


def test_the_agent_of_a_node_without_one_does_not_answer(plain: PlainLab) -> None:
    start(plain)
    with pytest.raises(LabError, match="its agent does not answer"):
        asyncio.run(plain.backend.open(plain.plan.lab, "one"))


def test_an_answer_of_megabytes_is_one_line(plain: PlainLab) -> None:
    """A hub's cache of a thousand spokes is longer than asyncio's usual limit of 64 KiB."""
    serve = (
        "import os, socket; s = socket.socket(socket.AF_UNIX);"
        "os.makedirs('/run/dmvpn-lab', exist_ok=True);"
        "s.bind('/run/dmvpn-lab/agent.sock'); s.listen();"
        "c = s.accept()[0]; c.sendall(b'x' * 3000000 + b'\\n')"
    )
    lab = with_service(plain, "one", argv=[sys.executable, "-c", serve], ready="/run/dmvpn-lab/agent.sock")
    start(lab)

    async def read() -> bytes:
        reader, writer = await lab.backend.open(lab.plan.lab, "one")
        try:
            return await reader.readline()
        finally:
            writer.close()

    assert len(asyncio.run(read())) == 3_000_001


def wait_until(true: Callable[[], bool], deadline_s: float = 10.0) -> None:
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_the_port_is_kept() -> None:
    from dmvpn_lab.backends.base import Backend

    port: Backend = NetnsBackend("/")  # mypy compares the signatures
    assert port.name == "netns"


def test_a_command_that_starts_no_lab_looks_for_no_root_file_system(tmp_path: Path) -> None:
    asked: list[str] = []

    def find() -> str:
        asked.append("root")
        return "/"

    assert asyncio.run(NetnsBackend(find).nodes("no-such-lab")) == ()
    assert asked == []

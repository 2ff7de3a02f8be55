"""Services of a node as real small processes: order, readiness, ends, restarts, orphans.

Each test runs a supervisor in a process of its own: it blocks signals and reaps every child.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dmvpn_lab.errors import LabError
from dmvpn_lab.node import supervisor as module
from dmvpn_lab.node.config import Service
from dmvpn_lab.node.supervisor import BACKOFF_S, Supervisor, fork, log_tail, spawn

PATIENCE_S = 20.0


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "LOGS", tmp_path)
    return tmp_path


def alone(test: Callable[[], None]) -> None:
    """Run in a child; its failure is this test's failure."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)  # not pytest's
            signal.alarm(int(PATIENCE_S))
            test()
        except BaseException as error:  # noqa: BLE001  the fork must not run on into pytest
            os.write(write, repr(error).encode()[:4000])
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        _pid, status = os.waitpid(pid, 0)
        os.set_blocking(pipe.fileno(), False)
        said = (pipe.read() or b"").decode()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what the test left behind
    assert (said, os.waitstatus_to_exitcode(status)) == ("", 0)


def shell(name: str, script: str, *after: str, ready: Path | None = None, restart: bool = False) -> Service:
    return Service(name, ("sh", "-c", script), after, None if ready is None else str(ready), restart)


def started(*services: Service) -> Supervisor:
    made = Supervisor()
    made.start_all((service, partial(spawn, service)) for service in services)
    return made


def until(supervisor: Supervisor, predicate: Callable[[], bool]) -> None:
    """Let it work until something is so; `alone` ends it when it never is."""
    while not predicate():
        supervisor.wait(0.05)


def test_a_service_starts_only_when_those_that_it_needs_are_ready(logs: Path) -> None:
    order = logs / "order"

    def test() -> None:
        done = started(
            shell("c", f"echo c >> {order}; exec sleep 60", "a", "b"),
            shell("a", f"sleep 0.3; echo a >> {order}; touch {logs}/a; exec sleep 60", ready=logs / "a"),
            shell("b", f"echo b >> {order}; touch {logs}/b; exec sleep 60", ready=logs / "b"),
        )
        until(done, lambda: order.read_text() == "b\na\nc\n")
        assert list(done.ready_after_s) == ["b", "a", "c"]
        assert done.ready_after_s["a"] >= 0.3
        done.end()

    alone(test)


def test_services_that_need_nothing_of_each_other_start_in_parallel(logs: Path) -> None:
    def test() -> None:
        began = time.monotonic()
        names = ("a", "b", "c", "d")
        started(
            *(shell(n, f"sleep 0.5; touch {logs}/{n}; exec sleep 60", ready=logs / n) for n in names)
        ).end()
        assert time.monotonic() - began < 1.9  # one after the other: two seconds

    alone(test)


@pytest.mark.parametrize("code", [0, 3])
def test_a_service_that_ends_before_all_are_ready_is_an_error_with_the_end_of_its_log(
    logs: Path, code: int
) -> None:
    def test() -> None:
        with pytest.raises(LabError) as caught:
            started(
                shell("good", "exec sleep 60", ready=logs / "never"),
                shell("bad", f"for n in 1 2 3 4 5 6 7 8 9; do echo line $n; done; exit {code}"),
            )
        lines = "\n".join(f"line {n}" for n in range(2, 10))
        assert str(caught.value) == f"bad ended with {code}:\n{lines}"

    alone(test)


def test_a_program_that_is_not_there_is_an_error(logs: Path) -> None:
    def test() -> None:
        with pytest.raises(FileNotFoundError, match="no-such-program"):
            started(Service("x", ("no-such-program",)))

    alone(test)


def test_a_service_to_be_restarted_comes_back_each_time_a_step_later(logs: Path) -> None:
    runs = logs / "runs"

    def test() -> None:
        script = f"date +%s.%N >> {runs}; touch {logs}/x; exit 1"
        done = started(shell("x", script, ready=logs / "x", restart=True))
        until(done, lambda: len(runs.read_text().splitlines()) >= 3)
        times = [float(line) for line in runs.read_text().splitlines()]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert gaps[0] >= BACKOFF_S[0]
        assert gaps[1] >= BACKOFF_S[1]
        assert gaps[1] < BACKOFF_S[1] + 2.0
        done.end()

    alone(test)


def test_the_steps_begin_anew_after_a_service_was_stable(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STABLE_S", 0.1)
    runs = logs / "runs"

    def test() -> None:
        done = started(shell("x", f"date +%s.%N >> {runs}; exec sleep 0.2", restart=True))
        until(done, lambda: runs.exists() and len(runs.read_text().splitlines()) >= 4)
        times = [float(line) for line in runs.read_text().splitlines()]
        assert max(later - sooner for sooner, later in itertools.pairwise(times)) < 1.0
        done.end()

    alone(test)


def test_a_service_that_dies_of_a_signal_is_restarted_and_one_without_restart_is_not(logs: Path) -> None:
    def test() -> None:
        done = started(
            shell("again", f"echo x >> {logs}/again.runs; exec sleep 60", restart=True),
            shell("once", f"echo x >> {logs}/once.runs; exec sleep 60"),
        )
        runs = [logs / f"{name}.runs" for name in ("again", "once")]
        until(done, lambda: all(each.exists() and each.read_text() == "x\n" for each in runs))
        for pid in tuple(done._pids):
            os.kill(pid, signal.SIGKILL)
        until(done, lambda: (logs / "again.runs").read_text() == "x\nx\n")
        assert (logs / "once.runs").read_text() == "x\n"
        assert set(done._pids.values()) == {"again"}
        done.end()

    alone(test)


def test_orphans_are_reaped_by_the_first_process_and_mistaken_for_nobody(logs: Path) -> None:
    def test() -> None:
        set_child_subreaper()
        orphan = logs / "orphan"
        script = f"(sh -c 'echo $$ > {orphan}.part; mv {orphan}.part {orphan}' &); exec sleep 60"
        done = started(shell("x", script))
        until(done, orphan.exists)
        pid = int(orphan.read_text())
        until(done, lambda: not Path(f"/proc/{pid}").exists())
        assert list(done._pids.values()) == ["x"]
        done.end()

    alone(test)


def set_child_subreaper() -> None:
    """Be what orphans get as their parent, as process 1 is."""
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_node_and_all_its_services_and_restarts_none(logs: Path, number: int) -> None:
    def test() -> None:
        script = f"trap 'echo ended >> {logs}/ended; exit 0' TERM; touch {logs}/$0; "
        script += "while :; do sleep 0.05; done"
        done = Supervisor()
        services = [
            Service(name, ("sh", "-c", script, name), ready=str(logs / name), restart=True) for name in "ab"
        ]
        done.start_all((each, partial(spawn, each)) for each in services)
        os.kill(os.getpid(), number)
        done.wait()
        assert done.ending
        done.end()
        assert done._pids == {}
        assert (logs / "ended").read_text() == "ended\nended\n"

    alone(test)


def test_a_node_that_is_told_to_end_while_it_starts_stops_starting(logs: Path) -> None:
    def test() -> None:
        done = Supervisor()
        os.kill(os.getpid(), signal.SIGTERM)  # blocked: it waits for the first look
        services = [shell("a", "exec sleep 60", ready=logs / "never"), shell("b", f"touch {logs}/b", "a")]
        done.start_all((each, partial(spawn, each)) for each in services)
        assert done.ending
        assert not (logs / "b").exists()
        done.end()

    alone(test)


def test_a_program_gets_its_signals_as_usual_and_its_output_goes_to_its_log(logs: Path) -> None:
    def test() -> None:
        code = (
            "import signal, sys; print(signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True); "
            "print('e', file=sys.stderr)"
        )
        done = started(Service("x", (sys.executable, "-c", code), restart=True))
        until(done, lambda: (logs / "x.log").read_text() == "set()\ne\n")
        done.end()

    alone(test)


def test_a_fork_runs_its_function_with_its_output_in_its_log(logs: Path) -> None:
    def test() -> None:
        done = Supervisor()

        def work() -> None:
            print(json.dumps({"pid": os.getpid(), "mask": len(signal.pthread_sigmask(signal.SIG_BLOCK, []))}),
                  file=os.fdopen(1, "w"), flush=True)  # fmt: skip
            raise ValueError("that was it")

        done.run("agent", lambda: fork("agent", work), restart=True)
        pid = next(iter(done._pids))
        until(done, lambda: pid not in done._pids)
        text = (logs / "agent.log").read_text()
        assert json.loads(text.splitlines()[0]) == {"pid": pid, "mask": 0}
        assert "ValueError: that was it" in log_tail("agent")
        done.end()

    alone(test)


def test_a_child_that_cannot_do_its_work_says_why_in_a_line_each_time(
    logs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        raise LabError("tunnel0: no GRE in this kernel")

    def test() -> None:
        made = Supervisor()
        made.run("agent", partial(fork, "agent", refused), restart=True)
        until(made, lambda: (logs / "agent.log").exists() and "GRE" in log_tail("agent"))
        until(made, lambda: not made.whole())
        assert log_tail("agent") == "agent: tunnel0: no GRE in this kernel"

    alone(test)
    assert "agent ended with 1: agent: tunnel0: no GRE in this kernel\n" in capfd.readouterr().err

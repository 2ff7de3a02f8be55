"""A forked child for each connection, and a Python program in one without a new interpreter."""

from __future__ import annotations

import array
import contextlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback

INTERRUPTED = 130
"""Exit code of a command that SIGINT ended."""


def serve(server: socket.socket, handle) -> None:
    """Fork a child for each connection; reap whatever ended."""
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    waker_r, waker_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker_w, warn_on_full_buffer=False)
    selector.register(waker_r, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is server:
                connection, _address = server.accept()
                if os.fork() == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(waker_r)
                    os.close(waker_w)
                    server.close()
                    leave(handle, connection)
                connection.close()
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(waker_r, 4096)
        reap()


def reap() -> None:
    """Collect every ended child; this process is also the machine's init."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def leave(handle, *arguments) -> None:
    """Run to the end of this process, whatever happens.

    An interrupt is told from a failure, wherever it meets the command: while it is imported, and when
    it has just done its work.
    """
    code = 1
    try:
        try:
            code = handle(*arguments) or 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BaseException:  # noqa: BLE001 - a child must not return into its parent
            traceback.print_exc()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # one that has come raises here
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        if signal.SIGINT in signal.sigpending():
            code = INTERRUPTED
        os._exit(code & 0xFF)


def fork_on_request(connection: socket.socket) -> int:
    """One request: {module, argv, path, env, cwd} with stdin, stdout and stderr attached."""
    size = array.array("i").itemsize * 3
    line, ancillary, _flags, _address = connection.recvmsg(1 << 16, socket.CMSG_SPACE(size))
    fds = array.array("i")
    for _level, _type, data in ancillary:
        fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    while not line.endswith(b"\n"):
        more = connection.recv(1 << 16)
        if not more:
            return 1
        line += more
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        connection.close()
        os.setsid()
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
            os.close(fd)
        leave(run_python, request["module"], request)
    for fd in fds:
        os.close(fd)
    connection.sendall(json.dumps({"pid": child}).encode() + b"\n")
    _pid, status = os.waitpid(child, 0)
    answer = {"exit": os.waitstatus_to_exitcode(status)}
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(answer).encode() + b"\n")
    return 0


def run_python(module: str, request: dict) -> int:
    """Become `python3 -m module` without a new interpreter."""
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    sys.path[:0] = request["path"]
    sys.argv = [module, *request["argv"]]
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0

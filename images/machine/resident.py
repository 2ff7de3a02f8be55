"""The machine's resident: holds imported libraries and forks one child a command.

Two tiers, so that a node's process does not carry the lab side's libraries:

    node-warm   standard library, vici                serves /run/dmvpn-lab/warm.sock
      `- lab-warm   + pydantic, typer, pyroute2 ...   serves TCP, one connection a command

It never imports dmvpn_lab: a saved state of the machine must not hold the project's code.
The frames of the TCP connection are described in wire.py beside this file, and why what is preloaded
is made immortal in immortal.py.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import gc
import hmac
import importlib
import io
import json
import os
import pty
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import termios
import time
import traceback
from pathlib import Path

sys.path[:0] = ["/opt/dmvpn-lab/machine", "/opt/dmvpn-lab/lab-lib", "/opt/dmvpn-lab/lib"]

import immortal  # noqa: E402
import wire  # noqa: E402
from wire import Kind  # noqa: E402

PORT = 4545
WARM = "/run/dmvpn-lab/warm.sock"
NODE_IMPORTS = ("asyncio", "ipaddress", "logging", "random", "vici.protocol")
LAB_IMPORTS = (
    "pydantic.main",  # pydantic itself imports nothing until it is asked for its names
    "pydantic.types",
    "pydantic.json_schema",
    "pydantic.functional_serializers",
    "pyroute2.iproute.linux",
    "yaml",
    "typer",
    "rich.console",
    "rich.table",
    "rich.progress",
    "rich.live",
    "rich.traceback",
    "docker",
    "pytest",
    "xml.etree.ElementTree",
    "difflib",
    "tempfile",
    "tomllib",
    "secrets",
    "gzip",
)
RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207
GRACE_S = 10.0
INTERRUPTED = 130
"""Exit code of a command that SIGINT ended."""


def main() -> None:
    """Fork lab-warm, then serve warm forks until the machine stops."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    preload(NODE_IMPORTS)
    immortal.keep_all()
    warm = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    Path(WARM).unlink(missing_ok=True)
    warm.bind(WARM)
    os.chmod(WARM, 0o600)
    warm.listen(16)
    if os.fork() == 0:
        warm.close()
        preload(LAB_IMPORTS)
        server = socket.create_server(("0.0.0.0", PORT), backlog=64)
        gc.freeze()
        serve(server, command)
    gc.freeze()
    serve(warm, fork_on_request)


def preload(names: tuple[str, ...]) -> None:
    """Import what commands will need; a missing one only costs time later."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


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


# --- warm forks, for programs inside the machine --------------------------------------------


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


# --- commands, for the thin client -------------------------------------------------------------


def command(connection: socket.socket) -> int:
    """Serve one connection: hello, files, the command, its output, its exit code."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    frame = wire.receive_frame(connection)
    if frame is None or frame[0] is not Kind.HELLO:
        return 1
    hello = json.loads(frame[1])
    if not hmac.compare_digest(hello["token"], boot_token()):
        return 1
    catch_up(hello["clock"], bytes.fromhex(hello["entropy"]))
    if hello["module"] is None and not hello["argv"]:
        wire.send_json(connection, Kind.EXIT, {"code": 0})
        return 0
    take_files(connection, hello["files"])
    os.makedirs(hello["cwd"], exist_ok=True)
    for directory in hello["directories"]:
        os.makedirs(directory, exist_ok=True)
    before = listing(hello["below"], hello["outputs"])
    child, ends = start(hello)
    code = relay(connection, child, ends)
    send_written(connection, before, listing(hello["below"], hello["outputs"]))
    wire.send_json(connection, Kind.EXIT, {"code": code, "signals": ends["signals"]})
    return 0


def boot_token() -> str:
    """The secret that the machine was booted with."""
    for word in Path("/proc/cmdline").read_text().split():
        if word.startswith("dmvpn.token="):
            return word.split("=", 1)[1]
    return os.urandom(16).hex()


def catch_up(clock: float, entropy: bytes) -> None:
    """A resumed machine has an old clock and old randomness."""
    if abs(time.time() - clock) > 0.2:
        time.clock_settime(time.CLOCK_REALTIME, clock)
    with open("/dev/urandom", "wb") as device:
        fcntl.ioctl(device, RNDADDENTROPY, struct.pack("ii", len(entropy) * 8, len(entropy)) + entropy)
        fcntl.ioctl(device, RNDRESEEDCRNG)


def take_files(connection: socket.socket, manifest: dict) -> None:
    """Ask for the files that differ from those here (by size and time), and write them."""
    need = []
    for path, (size, mtime_ns) in manifest.items():
        try:
            here = os.stat(path)
        except OSError:
            need.append(path)
            continue
        if here.st_size != size or here.st_mtime_ns // 1_000_000_000 != mtime_ns // 1_000_000_000:
            need.append(path)
    remove_vanished(manifest)
    wire.send_json(connection, Kind.NEED, need)
    frame = wire.receive_frame(connection)
    if frame is None or frame[0] is not Kind.FILES:
        raise wire.WireError("no files came")
    with tarfile.open(fileobj=io.BytesIO(frame[1])) as archive:
        archive.extractall("/", filter="tar")


def remove_vanished(manifest: dict) -> None:
    """Drop modules that the project no longer has, in the folders that the client sent whole."""
    folders = {os.path.dirname(path) for path in manifest if path.endswith(".py")}
    for folder in folders:
        for path in Path(folder).glob("*.py"):
            if str(path) not in manifest:
                path.unlink()


def listing(below: str | None, outputs: list) -> dict:
    """Path -> (size, mtime_ns) of what a command may have written: below a folder, and by name."""
    found = {}
    for folder, folders, names in os.walk(below) if below is not None else ():
        folders[:] = [n for n in folders if not n.startswith(".") and n != "__pycache__"]
        for name in names:
            note(found, os.path.join(folder, name))
    for path in outputs:
        note(found, path)
    return found


def note(found: dict, path: str) -> None:
    """Add a regular file to a listing."""
    with contextlib.suppress(OSError):
        if os.path.isfile(path) and not os.path.islink(path):
            status = os.stat(path)
            found[path] = (status.st_size, status.st_mtime_ns)


def send_written(connection: socket.socket, before: dict, after: dict) -> None:
    """Send back each file that is new or changed. One that is gone again, or grows, is as it was read."""
    changed = [path for path, fact in after.items() if before.get(path) != fact]
    if changed:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in changed:
                with contextlib.suppress(OSError):
                    data, member = Path(path).read_bytes(), archive.gettarinfo(path, path)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        wire.send_frame(connection, Kind.WRITTEN, buffer.getvalue())


def start(hello: dict) -> tuple[int, dict]:
    """Fork the command. Returns its PID and {"in": fd, "out": fd, "err": fd or None, "signals": 0}.

    `signals` counts those that it got: one that comes too late for it is the client's.
    """
    if hello["tty"]:
        master, slave = pty.openpty()
        resize(master, *hello["winsize"])
        inner = (slave, slave, slave)
        ends = {"in": master, "out": master, "err": None, "signals": 0}
    else:
        in_r, in_w = os.pipe()
        out_r, out_w = os.pipe()
        err_r, err_w = os.pipe()
        inner = (in_r, out_w, err_w)
        ends = {"in": in_w, "out": out_r, "err": err_r, "signals": 0}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Python forgets those that come with a fork
    child = os.fork()
    if child == 0:
        os.setsid()
        if hello["tty"]:
            fcntl.ioctl(inner[0], termios.TIOCSCTTY, 0)
        for target, fd in enumerate(inner):
            os.dup2(fd, target)
        os.closerange(3, 256)
        leave(run, hello)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for fd in set(inner):
        os.close(fd)
    return child, ends


def run(hello: dict) -> int:
    """In the child: our module, or any program."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # one that has come raises here
    environment = {**hello["env"], "DMVPN_LAB_INSIDE_MACHINE": "1", "DMVPN_LAB_NODE_ROOT": "/"}
    environment["DMVPN_LAB_WARM"] = WARM
    if hello["module"] is None and hello["argv"][:2] == ["python3", "-m"]:
        hello = {**hello, "module": hello["argv"][2], "argv": hello["argv"][3:]}
    if hello["module"] is not None:
        return run_python(hello["module"], {**hello, "env": environment})
    os.environ.update(environment)
    os.environ["PYTHONPATH"] = ":".join([*hello["path"], "/opt/dmvpn-lab/lab-lib", "/opt/dmvpn-lab/lib"])
    os.chdir(hello["cwd"])
    try:
        os.execvp(hello["argv"][0], hello["argv"])
    except OSError as error:
        print(f"{hello['argv'][0]}: {error.strerror}", file=sys.stderr)
        return 127


def relay(connection: socket.socket, child: int, ends: dict) -> int:
    """Carry bytes both ways until the command has ended and its output is out."""
    selector = selectors.DefaultSelector()
    pidfd = os.pidfd_open(child)
    selector.register(connection, selectors.EVENT_READ)
    selector.register(pidfd, selectors.EVENT_READ)
    selector.register(ends["out"], selectors.EVENT_READ)
    if ends["err"] is not None:
        selector.register(ends["err"], selectors.EVENT_READ)
    ended = False
    while not ended:
        for key, _ in selector.select():
            if key.fileobj is connection:
                if not from_client(connection, child, ends):
                    selector.unregister(connection)
                    hang_up(child)
            elif key.fileobj == pidfd:
                ended = True
            elif not to_client(connection, key.fd, ends):
                selector.unregister(key.fd)
    drain(connection, ends)
    _pid, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def from_client(connection: socket.socket, child: int, ends: dict) -> bool:
    """One frame from the client; False when the client is gone."""
    try:
        frame = wire.receive_frame(connection)
    except (OSError, wire.WireError):
        return False
    if frame is None:
        return False
    kind, body = frame
    if kind is Kind.STDIN:
        if body:
            with contextlib.suppress(OSError):
                os.write(ends["in"], body)
        elif ends["err"] is not None and ends["in"] is not None:
            os.close(ends["in"])
            ends["in"] = None
    elif kind is Kind.SIGNAL:
        ends["signals"] += pass_signal(child, json.loads(body)["number"])
    elif kind is Kind.WINSIZE and ends["err"] is None:
        size = json.loads(body)
        resize(ends["out"], size["rows"], size["columns"])
    return True


def pass_signal(child: int, number: int) -> bool:
    """A signal to a command and all that it has started; False when the command has ended.

    Between its fork and its own session it has no group yet, and gets it alone.
    """
    if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        return False
    try:
        os.killpg(child, number)
    except ProcessLookupError:
        os.kill(child, number)  # it is not waited for yet: its PID is its own
    return True


def to_client(connection: socket.socket, fd: int, ends: dict) -> bool:
    """One piece of output; False at its end."""
    try:
        data = os.read(fd, 1 << 16)
    except OSError:
        return False
    if not data:
        return False
    kind = Kind.STDERR if fd == ends["err"] else Kind.STDOUT
    with contextlib.suppress(OSError):
        wire.send_frame(connection, kind, data)
    return True


def drain(connection: socket.socket, ends: dict) -> None:
    """What is still in the pipes when the command has ended (a grandchild may hold them open)."""
    for fd in (ends["out"], ends["err"]):
        if fd is not None:
            os.set_blocking(fd, False)
            while to_client(connection, fd, ends):
                pass


def hang_up(child: int) -> None:
    """The client is gone: let the command clean up, then end it."""
    for number, patience_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, 1.0)):
        if not pass_signal(child, number):
            return
        poll = selectors.DefaultSelector()
        poll.register(os.pidfd_open(child), selectors.EVENT_READ)
        if poll.select(patience_s):
            return


def resize(fd: int, rows: int, columns: int) -> None:
    """Set a terminal's size."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 - a child must not return into its parent
        traceback.print_exc()
        subprocess.run(["poweroff", "-f"], check=False)

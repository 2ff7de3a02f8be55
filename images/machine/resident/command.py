"""A command for the thin client: hello, files, the command, its output, its exit code."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import pty
import signal
import socket
import struct
import sys
import termios
import time
from pathlib import Path

import wire
from wire import Kind

from resident.files import listing, send_written, take_files
from resident.forks import leave, run_python
from resident.relay import relay, resize

WARM = "/run/dmvpn-lab/warm.sock"
"""Where programs inside the machine ask for forks that are as warm as this one."""
RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207


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

"""`class`: one server for a class, with a machine of its own for each learner."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from dmvpn_lab import files
from dmvpn_lab.classroom import roster as rosters
from dmvpn_lab.classroom.machine import Machine
from dmvpn_lab.classroom.passwords import Passwords
from dmvpn_lab.classroom.roster import Roster
from dmvpn_lab.cli import output
from dmvpn_lab.errors import HostError, UsageError
from dmvpn_lab.machine import qemu, vm
from dmvpn_lab.machine.paths import machine_paths
from dmvpn_lab.workshop import load, progress, shelf

app = typer.Typer(
    help="One server for a class: a lab for each learner, in the browser.", no_args_is_help=True
)
File = Annotated[Path, typer.Argument(help="Who is in the class: docs/classroom.md.", metavar="ROSTER")]
PORT = 8791
MACHINE = "DMVPN_LAB_MACHINE"
HERE = ("127.0.0.1",)


@app.command()
def passwords(
    roster: File,
    renew: Annotated[
        list[str] | None, typer.Option("--renew", help="Somebody who needs a new one; may be repeated.")
    ] = None,
) -> None:
    """Make passwords for those who have none, and print them: it is the only time."""
    people = rosters.read(roster)
    if unknown := set(renew or ()) - set(people.people):
        raise UsageError(f"{sorted(unknown)[0]!r} is not in {roster}")
    kept = _passwords(people)
    new = kept.make([name for name in people.people if name not in kept.names() or name in (renew or ())])
    if new:
        output.print_table(("name", "password"), new.items())
    else:
        output.console().print("everybody has a password; --renew NAME makes another")


@app.command()
def serve(
    roster: File,
    address: Annotated[str, typer.Option(help="Where to listen; another one needs TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any.")] = PORT,
    certificate: Annotated[
        Path | None, typer.Option(help="The server's certificate and its chain, PEM.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
) -> None:
    """Serve a class until Ctrl-C; then every lab that it has started ends."""
    people = rosters.read(roster)
    tls = _tls(address, certificate, key)
    if missing := set(people.people) - _passwords(people).names():
        raise UsageError(f"{sorted(missing)[0]} has no password", hint=f"dmvpn-lab class passwords {roster}")
    _require_machines()
    raise typer.Exit(asyncio.run(_serve(people, address, port, tls)))


@app.command()
def forget(roster: File) -> None:
    """Delete the passwords, progress and saved machines of a class that is not served."""
    people = rosters.read(roster)
    with _alone(people):
        for learner in people.learners:
            with _at(_machine(people, learner)) as folder:
                vm.stop()
                shutil.rmtree(folder)
                folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
        shutil.rmtree(_folder(people))
    output.console().print(f"{people.class_}: forgotten")


async def _serve(people: Roster, address: str, port: int, tls: ssl.SSLContext | None) -> int:
    from dmvpn_lab.classroom.gate import Gate  # the machine has no web server
    from dmvpn_lab.classroom.news import News
    from dmvpn_lab.classroom.seat import Seat
    from dmvpn_lab.classroom.server import Classroom

    news = News()
    workshops = {name: load.read(shelf.find(name)) for name in shelf.names()}
    seats = {name: Seat(name, _machine(people, name), workshops, news) for name in people.learners}
    gate = Gate(people, _passwords(people), tls=tls is not None)
    with _alone(people):
        return await Classroom(people, gate, seats, workshops, news).run(
            address, port, tls, lambda url: print(url, flush=True)
        )


def _folder(people: Roster) -> Path:
    return progress.folder() / "classes" / people.class_


def _passwords(people: Roster) -> Passwords:
    return Passwords(_folder(people) / "passwords.json")


def _machine(people: Roster, learner: str) -> Machine:
    folder = _folder(people) / "learners" / learner
    files.make_folder(folder, mode=0o700, hint=progress.HINT)
    return Machine(f"class-{people.class_}.{learner}", folder, people.memory_mib)


@contextlib.contextmanager
def _at(machine: Machine) -> Iterator[Path]:
    """In this block `the machine` is that one; its folder."""
    before = os.environ.get(MACHINE)
    os.environ[MACHINE] = machine.name
    try:
        yield machine_paths().folder
    finally:
        if before is None:
            del os.environ[MACHINE]
        else:
            os.environ[MACHINE] = before


def _tls(address: str, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """None without TLS, which is for this computer only. Raises UsageError."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise UsageError(f"{address!r} is no IP address", hint="0.0.0.0 is every address") from None
    if (certificate is None) != (key is None):
        raise UsageError("TLS takes both", hint="--certificate FILE --key FILE")
    if certificate is None or key is None:
        if address not in HERE:
            raise UsageError(
                f"without TLS passwords would cross the network in clear: not at {address}",
                hint="--certificate FILE --key FILE, or leave --address out",
            )
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise UsageError(
            f"{certificate} and {key} are no certificate and its key: {error.reason or error}",
            hint="both in PEM, the server's certificate first",
        ) from error
    except OSError as error:
        raise UsageError(f"{certificate}, {key}: {error.strerror}") from error
    return context


def _require_machines() -> None:
    """Raises HostError where no virtual machine can be started."""
    if os.geteuid() != 0:
        raise HostError("labs need root", hint="run the same command with sudo")
    qemu.version()


@contextlib.contextmanager
def _alone(people: Roster) -> Iterator[None]:
    """One server a class. Raises UsageError for a second one."""
    folder = files.make_folder(_folder(people), mode=0o700, hint=progress.HINT)
    with open(folder / "lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"class {people.class_} is served already", hint="end that server first"
            ) from None
        yield

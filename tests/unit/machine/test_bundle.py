"""What travels into the machine, and what may come back."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from dmvpn_lab.errors import UsageError
from dmvpn_lab.machine import bundle

OURS = "dmvpn_lab"


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A user's folder, outside the checkout."""
    folder = tmp_path / "user"
    (folder / "sub").mkdir(parents=True)
    (folder / "lab.yml").write_text("lab: x")
    (folder / "sub" / "part.txt").write_text("part")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "secret").write_text("secret")
    (tmp_path / "beside.yml").write_text("lab: beside")
    return folder


def named(argv: list[str], cwd: Path, module: str | None = OURS) -> set[str]:
    """The files of a manifest that are not the project's."""
    return {
        path for path in bundle.manifest(module, argv, cwd) if not path.startswith(str(bundle.PACKAGE.parent))
    }


def tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def test_our_package_and_the_checkout_travel_with_size_and_time(user: Path) -> None:
    found = bundle.manifest(OURS, [], user)
    for path in (bundle.PACKAGE / "errors.py", bundle.PACKAGE.parent / "topologies" / "phase-1.yml"):
        assert found[str(path)] == (path.stat().st_size, path.stat().st_mtime_ns)
    assert not [path for path in found if "__pycache__" in path or "/." in path]


def test_a_topology_travels_wherever_it_is(user: Path) -> None:
    assert named(["up", "lab.yml"], user) == {str(user / "lab.yml")}
    assert named(["up", str(user / "lab.yml")], Path("/")) == {str(user / "lab.yml")}
    assert named(["up", "../beside.yml"], user) == {str(user.parent / "beside.yml")}
    assert named(["up", "--file=sub/part.txt"], user) == {str(user / "sub" / "part.txt")}


def test_words_that_name_nothing_are_just_words(user: Path) -> None:
    assert named(["up", "hub-and-spoke", "--backend", "netns"], user) == set()


def test_a_command_in_a_node_takes_no_files_along(user: Path) -> None:
    """`exec hub -- cat /etc/hosts` must not put this host's file over the machine's."""
    for argv in (
        ["exec", "hub", "--", "cat", "/etc/hosts"],
        ["exec", "hub", "ls", "/"],
        ["shell", "lab.yml"],
    ):
        assert named(argv, user) == set()
        assert bundle.outputs(OURS, argv, user) == []
    assert named(["up", "--", "lab.yml"], user) == set()


def test_a_program_in_the_machine_gets_what_is_below_the_working_folder(user: Path) -> None:
    argv = ["python3", "lab.yml", "sub", "/etc/hosts", str(user.parent / "beside.yml"), ".hidden/secret"]
    assert named(argv, user, None) == {str(user / "lab.yml"), str(user / "sub" / "part.txt")}


@pytest.mark.parametrize("cwd", ["/", "/etc", "/tmp"])
def test_in_a_system_folder_a_program_in_the_machine_gets_nothing(cwd: str) -> None:
    assert named(["cat", "hosts", "etc/hosts"], Path(cwd), None) == set()


def test_too_much_is_refused_with_its_size(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (user / "huge").open("wb") as file:
        file.truncate(bundle.LIMIT + 1)
    with pytest.raises(UsageError, match="octets; the machine takes"):
        bundle.manifest(OURS, ["up", "huge"], user)


def test_a_report_may_come_back_where_it_was_asked_for(user: Path) -> None:
    assert bundle.outputs(OURS, ["verify", "--junit", "r.xml"], user) == [str(user / "r.xml")]
    assert bundle.outputs(OURS, ["verify", "--junit=../r.xml"], user) == [str(user.parent / "r.xml")]
    assert bundle.outputs(OURS, ["verify", "--junit", "/tmp/r.xml"], user) == ["/tmp/r.xml"]
    assert bundle.outputs(OURS, ["verify", "--junit", "/no/such/r.xml"], user) == []
    assert bundle.outputs(OURS, ["verify", "lab", "--json", "--junit", "r.xml"], user) == [
        str(user / "r.xml")
    ]
    assert bundle.outputs(None, ["tee", "/etc/hosts"], user) == []


def test_what_no_option_names_does_not_come_back(user: Path) -> None:
    assert bundle.outputs(OURS, ["up", "lab.yml", "--no-verify"], user) == []
    assert bundle.outputs(OURS, ["down", "workshop-01"], user) == []
    assert bundle.outputs(OURS, ["up", "--", "lab.yml"], user) == []


def test_what_would_become_larger_is_not_unpacked(user: Path) -> None:
    packed = gzip.compress(tar(**{f"{user}/new": bytes(1 << 20)}))
    with pytest.raises(tarfile.TarError):
        bundle.unpack(packed, user, [], {})
    holes = tarfile.TarInfo(f"{user}/new")
    holes.type, holes.size = tarfile.GNUTYPE_SPARSE, 0
    block = bytearray(holes.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"%011o\0" % (1 << 26)  # its real size, all of it a hole
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 8 * 32)
    bundle.unpack(bytes(block) + bytes(1024), user, [], {})
    assert not (user / "new").exists()


def test_what_is_packed_comes_out_whole_with_its_time(user: Path, tmp_path: Path) -> None:
    os.utime(user / "lab.yml", (1_700_000_000, 1_700_000_000))
    with tarfile.open(fileobj=io.BytesIO(bundle.pack([str(user / "lab.yml")]))) as archive:
        (member,) = archive.getmembers()
        assert (f"/{member.name}", member.mtime) == (str(user / "lab.yml"), 1_700_000_000)


def test_files_below_the_working_folder_come_back(user: Path) -> None:
    bundle.unpack(tar(**{f"{user}/new/report.txt": b"new", f"{user}/lab.yml": b"changed"}), user, [], {})
    assert (user / "new" / "report.txt").read_bytes() == b"new"
    assert (user / "lab.yml").read_bytes() == b"changed"
    assert sorted(path.name for path in user.iterdir()) == [".hidden", "lab.yml", "new", "sub"]


def test_an_expected_file_comes_back_from_anywhere(user: Path) -> None:
    path = user.parent / "r.xml"
    bundle.unpack(tar(**{str(path): b"<xml/>"}), None, [str(path)], {})
    assert path.read_bytes() == b"<xml/>"


@pytest.mark.parametrize(
    "name",
    ["{user}/../beside.yml", "{user}/sub/../../beside.yml", "{parent}/beside.yml", "../beside.yml",
     "{user}-2/file", "{user}/.hidden/secret", "{user}/.bash_history"],
)  # fmt: skip
def test_what_is_outside_or_hidden_is_never_written(user: Path, name: str) -> None:
    before = {path: path.read_bytes() for path in user.parent.rglob("*") if path.is_file()}
    bundle.unpack(tar(**{name.format(user=user, parent=user.parent): b"evil"}), user, [], {})
    assert {path: path.read_bytes() for path in user.parent.rglob("*") if path.is_file()} == before


def test_of_one_of_our_commands_only_what_was_named_comes_back(user: Path) -> None:
    bundle.unpack(tar(**{f"{user}/lab.yml": b"evil"}), None, [str(user / "other")], {})
    assert (user / "lab.yml").read_text() == "lab: x"


def test_in_a_system_folder_nothing_comes_back(monkeypatch: pytest.MonkeyPatch, user: Path) -> None:
    monkeypatch.setattr(bundle, "SYSTEM", bundle.SYSTEM | {str(user)})
    bundle.unpack(tar(**{f"{user}/lab.yml": b"evil"}), user, [], {})
    assert (user / "lab.yml").read_text() == "lab: x"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_never_made(user: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(f"{user}/link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    bundle.unpack(buffer.getvalue(), user, [], {})
    assert not os.path.lexists(user / "link")


def test_a_file_that_was_changed_here_while_the_command_ran_is_kept(user: Path) -> None:
    sent = bundle.manifest(None, ["python3", "lab.yml", "sub"], user)
    (user / "lab.yml").write_text("lab: edited")
    data = tar(**{f"{user}/lab.yml": b"lab: x", f"{user}/sub/part.txt": b"written"})
    assert bundle.unpack(data, user, [], sent) == [str(user / "lab.yml")]
    assert (user / "lab.yml").read_text() == "lab: edited"
    assert (user / "sub" / "part.txt").read_text() == "written"


def test_an_edit_that_came_back_as_it_is_is_not_worth_a_word(user: Path) -> None:
    sent = bundle.manifest(None, ["python3", "lab.yml"], user)
    (user / "lab.yml").write_text("lab: edited")
    assert bundle.unpack(tar(**{f"{user}/lab.yml": b"lab: edited"}), user, [], sent) == []


def test_a_file_that_was_deleted_here_meanwhile_comes_back_if_the_command_wrote_it(user: Path) -> None:
    sent = bundle.manifest(None, ["python3", "lab.yml"], user)
    (user / "lab.yml").unlink()
    assert bundle.unpack(tar(**{f"{user}/lab.yml": b"written"}), user, [], sent) == []
    assert (user / "lab.yml").read_text() == "written"


@pytest.mark.parametrize("module", [OURS, None])
def test_a_word_too_long_for_a_file_name_is_just_a_word(user: Path, module: str | None) -> None:
    argv = ["pytest", "x" * 5000]
    assert named(argv, user, module) == set()
    assert bundle.outputs(module, ["pytest", "no-folder/" + "x" * 5000], user) == []

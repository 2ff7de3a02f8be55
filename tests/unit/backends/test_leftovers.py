"""What a killed containerlab leaves is removed, and nothing of anybody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

from dmvpn_lab.backends import leftovers

BLOCK = "###### CLAB-{0}-START ######\n172.20.20.2\tclab-{0}-hub\n###### CLAB-{0}-END ######\n"


class NoNetwork:
    """An engine without containerlab's network."""

    @property
    def networks(self) -> Any:
        """Asked for one that is not there."""
        return self

    def get(self, name: str) -> Any:
        """As the engine answers."""
        raise NotFound(name)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The places of a host on which two labs were deployed."""
    for name in ("NETNS", "SSH", "HOSTS"):
        monkeypatch.setattr(leftovers, name, tmp_path / name)
    (tmp_path / "NETNS").mkdir()
    (tmp_path / "SSH").mkdir()
    for lab in ("one", "two"):
        (tmp_path / "NETNS" / f"clab-{lab}-hub").symlink_to(tmp_path / "gone")
        (tmp_path / "SSH" / f"clab-{lab}.conf").write_text("Host x\n")
    (tmp_path / "NETNS" / "clab-one-more-hub").symlink_to("/proc/self/ns/net")
    (tmp_path / "HOSTS").write_text("127.0.0.1 localhost\n" + BLOCK.format("one") + BLOCK.format("two"))
    return tmp_path


def test_what_is_of_one_lab_goes_and_what_is_of_another_stays(host: Path) -> None:
    assert leftovers.in_hosts("one")
    leftovers.remove(NoNetwork(), "one")
    assert leftovers.files("one") == []
    assert not leftovers.in_hosts("one")
    assert (host / "NETNS" / "clab-one-more-hub").is_symlink()  # of a lab one-more, which runs
    assert [path.name for path in leftovers.files("two")] == ["clab-two-hub", "clab-two.conf"]
    assert (host / "HOSTS").read_text() == "127.0.0.1 localhost\n" + BLOCK.format("two")
    before = (host / "HOSTS").stat().st_mtime_ns
    leftovers.remove(NoNetwork(), "one")
    assert (host / "HOSTS").stat().st_mtime_ns == before

"""What containerlab leaves on a host when its deploy or destroy is killed: names, and its network."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

NETNS = Path("/run/netns")
SSH = Path("/etc/ssh/ssh_config.d")
HOSTS = Path("/etc/hosts")
NETWORK = "clab"
"""Its management network, shared by all of its labs; ours are not on it, but it is made for them."""


def remove(client: Any, lab: str) -> None:
    """Remove what is of this lab, and the network when nobody is on it."""
    for path in files(lab):
        path.unlink(missing_ok=True)
    if HOSTS.is_file() and (without := _without(HOSTS.read_text(), lab)) is not None:
        HOSTS.write_text(without)  # in place: where it is mounted it cannot be replaced
    remove_network(client)


def files(lab: str) -> list[Path]:
    """Names of network namespaces that have gone with its nodes, and its SSH settings.

    A namespace that lives is of another lab, whose name goes on where this one's ends.
    """
    found = [path for path in NETNS.glob(f"clab-{lab}-*") if path.is_symlink() and not path.exists()]
    settings = SSH / f"clab-{lab}.conf"
    return [*found, settings] if settings.exists() else found


def in_hosts(lab: str) -> bool:
    """Whether /etc/hosts has entries of its nodes."""
    return HOSTS.is_file() and _without(HOSTS.read_text(), lab) is not None


def remove_network(client: Any) -> None:
    """As containerlab does when its last lab goes."""
    from docker.errors import APIError, NotFound

    with contextlib.suppress(APIError, NotFound):  # somebody is on it, or it has gone meanwhile
        network = client.networks.get(NETWORK)
        if "containerlab" in (network.attrs.get("Labels") or {}):
            network.remove()


def _without(text: str, lab: str) -> str | None:
    """The text of /etc/hosts without the lab's block; None when there is none."""
    name = re.escape(lab)
    block = re.compile(rf"^#+ CLAB-{name}-START #+\n.*?^#+ CLAB-{name}-END #+\n?", re.MULTILINE | re.DOTALL)
    changed, count = block.subn("", text)
    return changed if count else None

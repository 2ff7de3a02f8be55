"""Passwords of a class: made here, printed once, kept as scrypt hashes in a file of mode 0600."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dmvpn_lab import files
from dmvpn_lab.errors import UsageError
from dmvpn_lab.workshop import progress

COST, BLOCK, LANES, SALT = 1 << 14, 8, 1, 16
"""scrypt's N, r and p: 16 MiB and some 50 ms a try; octets of salt."""
CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aeiou"
GROUPS, SYLLABLES = 4, 2
"""80 syllables: eight of them are 50 bits."""


def made() -> str:
    """A new one that can be read out: `tula-kero-vimo-dasa`."""
    return "-".join(
        "".join(secrets.choice(CONSONANTS) + secrets.choice(VOWELS) for _ in range(SYLLABLES))
        for _ in range(GROUPS)
    )


class Passwords:
    """The file of one class. It is read at each login: a new password is good at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._nobody = _hashed(secrets.token_hex(16))
        """What the password of a name that is not there is compared with: it takes as long."""

    def names(self) -> set[str]:
        """Who has one."""
        return set(self._read())

    def make(self, names: Iterable[str]) -> dict[str, str]:
        """New passwords for these, by name: this is the only time when they are known.

        Raises HostError.
        """
        new = {name: made() for name in names}
        kept = self._read() | {name: _hashed(password) for name, password in new.items()}
        files.make_folder(self._path.parent, mode=0o700, hint=progress.HINT)
        files.write_whole(self._path, json.dumps(kept), mode=0o600, hint=progress.HINT)
        return new

    def right(self, name: str, password: str) -> bool:
        """Whether it is this one's. It blocks for scrypt's time, whoever is named."""
        record = self._read().get(name)
        wanted = record or self._nobody
        found = _scrypt(password, bytes.fromhex(wanted["salt"]))
        return hmac.compare_digest(found, bytes.fromhex(wanted["hash"])) and record is not None

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            told: Any = json.loads(self._path.read_text(encoding="utf-8"))
            return {
                name: {"salt": str(each["salt"]), "hash": str(each["hash"])} for name, each in told.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(f"{self._path}: no passwords can be read from it", hint="delete it") from error


def _hashed(password: str) -> dict[str, str]:
    salt = secrets.token_bytes(SALT)
    return {"salt": salt.hex(), "hash": _scrypt(password, salt).hex()}


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=LANES)

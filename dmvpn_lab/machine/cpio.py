"""Writes a cpio archive in the `newc` form, which is what Linux unpacks as an initramfs.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations


class Writer:
    """Collects folders and files; `finish()` gives the archive."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def folder(self, name: str) -> None:
        """Add a folder, mode 0755."""
        self._add(name, b"", 0o040755)

    def file(self, name: str, data: bytes, mode: int) -> None:
        """Add a regular file with these permission bits."""
        self._add(name, data, 0o100000 | mode)

    def finish(self) -> bytes:
        """The whole archive."""
        self._add("TRAILER!!!", b"", 0)
        return b"".join(self._parts)

    def _add(self, name: str, data: bytes, mode: int) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, dev (2), rdev (2), name size, check
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._parts += [_padded(header), _padded(data)]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)

"""Puts lines on a terminal, redraws only those that changed, and leaves it as it was."""

from __future__ import annotations

import contextlib
import sys
import termios
import tty
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[?25h\x1b[?1049l"
"""The other screen, without a cursor; and back."""
REST = "\x1b[K"
"""Clear the rest of a line."""


class Screen:
    """One terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: list[str] = []
        self._size = (0, 0)

    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        return self._console.size.width, self._console.size.height

    def draw(self, lines: Sequence[Text]) -> str:
        """Show these lines; what was written, for what changed only."""
        size = self.size()
        if size != self._size:
            self._size, self._shown = size, ["\x00"] * size[1]  # a line that no text equals
        wanted = [self._ansi(line) for line in lines][: size[1]]
        wanted += [""] * (size[1] - len(wanted))
        changes = "".join(
            f"\x1b[{number + 1};1H{line}{REST}"
            for number, (line, before) in enumerate(zip(wanted, self._shown, strict=True))
            if line != before
        )
        self._shown = wanted
        self._console.file.write(changes)
        self._console.file.flush()
        return changes

    def _ansi(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", no_wrap=True, overflow="crop", crop=False, soft_wrap=True)
        return captured.get()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """The terminal is ours in this block: keys come at once, unseen; then it is as it was."""
        stdin = sys.stdin.fileno()
        before = termios.tcgetattr(stdin) if sys.stdin.isatty() else None
        try:
            if before is not None:
                tty.setcbreak(stdin)
            self._console.file.write(ENTER)
            self._console.file.flush()
            yield
        finally:
            self._console.file.write(LEAVE)
            self._console.file.flush()
            if before is not None:
                termios.tcsetattr(stdin, termios.TCSADRAIN, before)

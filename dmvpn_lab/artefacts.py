"""Where tests that fail leave what there is to know, a folder each; what an earlier run left there goes.

Light on purpose: every pytest on this host loads it, and the command that hands a suite to the machine.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from dmvpn_lab.errors import HostError

OPTION = "--lab-artefacts"
FOLDER = "results/artefacts"
FAILURE = "failure.txt"
"""In each test's folder, or one below it: what tells that it is one."""


def named(words: Sequence[str]) -> Path:
    """The folder that pytest's arguments name."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument(OPTION, default=FOLDER)
    return Path(options.parse_known_args(list(words))[0].lab_artefacts)


def clear(folder: Path) -> None:
    """Remove the folders of tests, and nothing else that is there. Raises HostError."""
    tests = {path.parent for pattern in (FAILURE, f"*/{FAILURE}") for path in folder.glob(f"*/{pattern}")}
    try:
        for test in sorted(tests, reverse=True):  # what is in a folder before it
            shutil.rmtree(test)
            if test.parent != folder and not any(test.parent.iterdir()):
                test.parent.rmdir()
    except OSError as error:
        raise HostError(
            f"cannot remove {error.filename}: {error.strerror}", hint=f"name another folder with {OPTION}"
        ) from error

"""A node's files as a folder that was mounted: copied to their places before anything is read.

So the folder stays as it was written, and a file can be replaced whole while the node runs, which a
mounted file cannot.
"""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDER = Path("/opt/dmvpn-lab/node")


def install(folder: Path = FOLDER, root: Path = Path("/")) -> int:
    """Copy every file below `folder` to the same path below `root`; how many. Raises OSError."""
    count = 0
    for source in sorted(folder.rglob("*")):
        # A ConfigMap's volume keeps its data in hidden folders, and links to them.
        if source.is_file() and not any(part.startswith("..") for part in source.relative_to(folder).parts):
            target = root / source.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            count += 1
    return count

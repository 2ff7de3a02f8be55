"""How Sphinx makes a site of this folder: `make site`."""

from __future__ import annotations

from dmvpn_lab import __version__

project = "dmvpn-lab"
author = "the dmvpn-lab developers"
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
"""A link may name a heading down to the third level, as on a forge."""
nitpicky = True

html_theme = "furo"
html_title = "dmvpn-lab"
html_copy_source = False

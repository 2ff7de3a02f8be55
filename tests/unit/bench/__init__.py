"""The bench's own arithmetic: figures that lie are worse than none."""

"""From a topology file to a plan in which everything is decided."""

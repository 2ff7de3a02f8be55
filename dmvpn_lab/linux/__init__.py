"""Linux for the node side: one file a kernel interface."""

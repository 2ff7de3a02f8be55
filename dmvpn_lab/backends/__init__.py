"""Ways to run the nodes of a lab: one file a backend."""

"""One server for a class: a machine of its own for each learner, reached by a browser."""

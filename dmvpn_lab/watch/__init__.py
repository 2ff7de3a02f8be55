"""A lab as it lives: one model of its state, shown in a terminal and in a browser."""

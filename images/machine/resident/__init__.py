"""What serves the machine's commands; `python3 -m resident` starts it."""

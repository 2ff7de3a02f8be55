"""What runs a node: its first process, its interfaces and its services."""

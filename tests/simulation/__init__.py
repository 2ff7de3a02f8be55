"""A network of agents in virtual time."""

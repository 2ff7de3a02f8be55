"""Wrong topologies and what they print."""

"""Wrong scenarios and what they print."""

"""Scenarios without a lab: files, conditions, the runner, pictures."""

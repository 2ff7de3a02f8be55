"""Workshops: a lab to work in, tasks, and a check that tells which of them are done."""

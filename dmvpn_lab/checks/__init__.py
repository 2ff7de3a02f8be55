"""Proofs that a lab works: one file a check."""

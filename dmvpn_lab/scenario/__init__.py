"""Scenarios: steps that change a lab and prove what follows, with the time that each took."""

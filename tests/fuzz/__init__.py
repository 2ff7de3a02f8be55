"""Fuzzing of the NHRP core: octets in, and nothing but DecodeError may come out."""

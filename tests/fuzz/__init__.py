"""Fuzzing of NHRP, EIGRP and CDP: octets in, and nothing but DecodeError may come out."""

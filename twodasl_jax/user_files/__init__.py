"""Readers of files that come from outside: each gives plain values or refuses in one sentence."""

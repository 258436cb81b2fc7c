"""The embedded open face model: its file, its provenance, and the script that makes it."""

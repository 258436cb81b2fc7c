"""A run begins or goes on: everything is checked before anything is written."""

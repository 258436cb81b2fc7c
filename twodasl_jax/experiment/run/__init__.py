"""A run's folder: begun, gone on with, read back."""

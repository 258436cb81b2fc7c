"""Trained networks as single files: their format, and those that come with the package."""

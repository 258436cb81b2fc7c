"""Reconstructed faces as files: meshes, JSON, pictures, each written whole."""

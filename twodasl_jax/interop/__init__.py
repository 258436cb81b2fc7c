"""Weights of other frameworks: PyTorch's in."""

"""Losses, one value per example; the caller reduces and weights."""

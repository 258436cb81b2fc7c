"""Finds the faces of photographs and reconstructs them."""

"""Rotations, cameras, meshes and alignment: no faces, no networks."""

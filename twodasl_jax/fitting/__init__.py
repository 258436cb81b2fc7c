"""Fitting a face model to 2D landmarks: 3D annotations for photos that have none."""

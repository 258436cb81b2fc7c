"""Faces over the frames of a video or of a camera."""

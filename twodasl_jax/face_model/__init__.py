"""The 3D morphable model: data type, linear decode, landmarks, importers."""

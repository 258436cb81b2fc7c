"""A reconstructed face as a mesh, and as the bytes of mesh files."""

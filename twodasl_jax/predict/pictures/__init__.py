"""What pixels see of a reconstructed face, and pictures drawn of it."""

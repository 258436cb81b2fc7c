"""The glue of one paper per file."""

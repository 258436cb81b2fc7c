"""What `--mode=annotate` believes and writes."""

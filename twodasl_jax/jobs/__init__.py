"""What run.py can do: the only modules that read a config."""

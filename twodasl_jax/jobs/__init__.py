"""What run.py can do (modes.py lists it): the only modules that read a config."""

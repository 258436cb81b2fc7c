"""One runnable experiment per file: ``python run.py --config=configs/<name>.py``."""

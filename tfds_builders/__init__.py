"""TFDS builders of the data sets, one folder each, for ``--mode=prepare`` and ``tfds build``."""

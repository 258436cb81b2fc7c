"""TFDS builders of the data sets, one folder each; ``tfds build`` and ``--mode=prepare`` use them."""

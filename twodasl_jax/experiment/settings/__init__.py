"""The settings of experiments, checked before anything is made."""

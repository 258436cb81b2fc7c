"""State, optimiser, devices, loop, checkpoints and writers; knows no loss."""

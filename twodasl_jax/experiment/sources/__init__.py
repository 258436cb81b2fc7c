"""What an experiment trains and is validated on: looked for, opened, rendered."""

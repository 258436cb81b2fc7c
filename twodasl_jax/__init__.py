"""2DASL in JAX: 3D face reconstruction and dense face alignment from one photograph."""

__version__ = "0.1.0"

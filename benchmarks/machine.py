"""What a benchmark ran on: the head of every table."""

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path


def describe_machine(packages: Iterable[str]) -> str:
    """Processor, cores, how busy they are, and versions of Python and some packages."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{processor}, {os.cpu_count()} cores, load before the start {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {versions}"
    )

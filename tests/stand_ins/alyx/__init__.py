"""Stands in for a lab's Alyx 3.6.1 and its data server, as ALYX.md recorded them; faults on demand."""

from .faults import Fault, Faults
from .server import Server
from .world import World

__all__ = ["Fault", "Faults", "Server", "World"]

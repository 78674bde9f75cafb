"""Tools that make and run video tracking servers of the International Brain Laboratory."""

__version__ = "0.1.0"

"""Synthetic rig videos with known truth, and the small networks trained on them.

A drawn mouse behind a drawn lick spout stands in for recordings that cannot be shared: every video comes with
the true position of every tracked point, so that the whole tracking can be tried and measured on any machine.
"""

from pathlib import Path

WEIGHTS = Path(__file__).resolve().parent / "weights"
"""The networks trained on them, in the layout of the IBL's weights folder."""

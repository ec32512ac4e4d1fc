"""Stored outputs: how values become files, and how screens read them without running code."""

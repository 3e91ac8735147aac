"""Recommendations from autoencoders, trained, evaluated, served and mailed from one log."""

__version__ = "0.1.0"

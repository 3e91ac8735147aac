"""Autoencoders: neural networks that rebuild a history and so score what is missing from it."""

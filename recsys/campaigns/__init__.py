"""Batch jobs that score a whole customer base into files."""

"""Models: each is fitted on histories and scores any histories. See `base.Model`."""

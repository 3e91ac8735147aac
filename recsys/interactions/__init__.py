"""From a log of events to cleaned, validated, sparse histories."""

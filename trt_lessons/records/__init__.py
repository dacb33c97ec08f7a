"""Measurements and where they come from: recordings, their codec, provenance, words for numbers."""

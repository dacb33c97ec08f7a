"""Run a plan: session, slots, buffers, pipeline."""

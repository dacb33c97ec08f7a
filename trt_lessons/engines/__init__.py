"""Source to plan: options, profiles, caches, plans, and what is inside an engine."""

"""A plan, and what runs it: engine, context, inspector, refitter."""

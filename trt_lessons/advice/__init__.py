"""Anybody's model: the search for a precision, its report, buckets of sizes, NVIDIA's compiler's word."""

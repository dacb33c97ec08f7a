"""Anybody's model: the search for a precision, its report, buckets of sizes, two machines compared, NVIDIA's compiler asked."""

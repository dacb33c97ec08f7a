"""trtexec's loop and definitions, baselines, roofline, and turns on a shared card."""

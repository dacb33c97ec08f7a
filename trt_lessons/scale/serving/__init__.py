"""An engine behind a server: Triton's model repository, and Triton itself started on the loopback address."""

"""CUDA under PyCUDA's names, once: for cuda-python and for the interpreter."""

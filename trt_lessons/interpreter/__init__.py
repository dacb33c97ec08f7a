"""The interpreter: TensorRT's Python API on the CPU, so that every lesson runs on every laptop.

`interpreter.tensorrt` stands for the `tensorrt` package (the names of 11.4, as far as the lessons use
them), `cpu_cuda` for `pycuda.driver`, `cpu_cudart` for `cuda.bindings.runtime`.
onnx and onnxruntime compute, through their public API only. No time is ever reported as TensorRT's.
"""

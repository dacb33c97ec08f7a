"""From a network to ONNX: it is read as anyone would read it, by its layers' types, attributes and tensors."""

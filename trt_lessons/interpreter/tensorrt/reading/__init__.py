"""What a parser does with an ONNX graph before it becomes layers: rules, rewriting, known conditions."""

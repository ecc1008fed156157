"""Models of tables as ONNX files: the arrays of an artifact as a graph of standard operators."""

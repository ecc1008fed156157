"""Models of tables as ONNX files: the arrays of an artifact, read a second time, as a graph of standard operators."""

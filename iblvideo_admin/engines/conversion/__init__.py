"""DeepLabCut's TensorFlow 1 networks as ONNX files, made without TensorFlow: checkpoint in, graph out."""

"""DeepLabCut's TensorFlow 1 networks as ONNX files, made without TensorFlow: checkpoint in, graph out."""

# the names of a graph's input and output: whoever runs one need not import what makes it
FRAMES, POINTS = "frames", "points"

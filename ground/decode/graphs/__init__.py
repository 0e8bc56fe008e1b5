"""Decoder graphs: networks on the ground, in onnxruntime or compiled code."""

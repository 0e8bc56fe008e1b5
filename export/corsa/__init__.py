"""Export of the CORSA models: int8 ONNX and TFLite from one calibration."""

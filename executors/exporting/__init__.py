"""Saved models as ONNX graphs: raw features in, what the bundle predicts out, preprocessing inside."""

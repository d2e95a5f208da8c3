"""Policies as ONNX."""

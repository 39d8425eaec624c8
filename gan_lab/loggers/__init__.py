"""Loggers: JSON lines and TensorBoard, one record a step."""

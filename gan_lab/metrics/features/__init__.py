"""Metrics of images in the features of a classifier."""

"""Figures: one look for all, samples, landscapes and animations."""

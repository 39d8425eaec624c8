"""Campaigns of faults: what is done to gan_lab on purpose, and whether anything was lost."""

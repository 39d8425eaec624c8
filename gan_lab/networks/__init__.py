"""Generators and discriminators, always as a pair, so that their shapes agree by construction."""

"""Data sets: a frozen description each (`Data`), opened to a `Source` of samples on a device."""

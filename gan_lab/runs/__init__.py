"""What is on disk: run directories, checkpoints, former names, safe reading and writing."""

"""The commands: argv, exit codes, and runs on disk as commands take them."""

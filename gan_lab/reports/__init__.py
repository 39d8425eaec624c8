"""Pictures and pages, made from samples and run directories; never imports the trainer."""

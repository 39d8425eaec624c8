"""Reports: run directories are read, compared and shown; nothing here imports training."""

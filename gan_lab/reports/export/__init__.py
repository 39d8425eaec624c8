"""A report for other programs: CSV, Markdown, TensorBoard, the terminal, one picture."""

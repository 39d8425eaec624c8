"""Which of the 1000 modes of Stacked MNIST a training reaches, and how well."""

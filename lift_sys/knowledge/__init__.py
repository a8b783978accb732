"""What is known without a model: quirks of Python, and what a spec's own text states."""

"""What is known without a model: of Python, and of how specs are worded."""

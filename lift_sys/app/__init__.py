"""The composition root: the only place that reads the environment, prints, or knows every package."""

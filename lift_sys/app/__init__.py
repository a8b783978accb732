"""The composition root: only it reads the environment, prints, or knows every package."""

"""Running generated code safely and judging what it returns."""

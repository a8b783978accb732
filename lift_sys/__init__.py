"""The product: IR, inference, sandbox and, above all other packages, the app."""

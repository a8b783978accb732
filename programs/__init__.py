"""Programs that turn a spec into code, made of DSPy modules.

Knows the IR, inference and the sandbox; knows nothing of hidden cases, metrics or optimizers.
"""

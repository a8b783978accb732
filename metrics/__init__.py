"""Judging a program's answers: the only package that looks at hidden cases.

Knows tasks, verdicts and the sandbox; knows nothing of programs or optimizers.
"""

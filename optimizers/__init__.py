"""Searching for the best program.

Receives the program and the metric as arguments and imports neither package; stores what it paid
for through a protocol, so that a search can be resumed.
"""

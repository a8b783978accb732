"""Backends that generate text."""

"""Dynamics on tokens: discrete frames, copy or change, an explicit history.

See `model` for the idea.
"""

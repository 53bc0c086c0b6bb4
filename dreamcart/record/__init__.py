"""Recordings: what can be recorded here, by a person or a script, verified, shared and read from
elsewhere.
"""

"""Reads and writes the files of an experiment."""

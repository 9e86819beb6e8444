"""Analyses of a collection's vectors: groups, duplicates, outliers and a map.

docs/analysis.md explains what each of them means.
"""

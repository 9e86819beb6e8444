"""What is in the pile: groups, duplicates, outliers and a map, all made from the vectors of a collection.

docs/analysis.md teaches what each of them means.
"""

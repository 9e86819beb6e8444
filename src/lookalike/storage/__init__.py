"""The format on disk and nothing else: paths, whole files, parts, what is derived."""

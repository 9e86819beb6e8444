"""Getting bytes from the web: politely, and safe from what a URL can point at.

Used by `lookalike download`, by a build from a list of URLs, and wherever else a stranger's URL is followed.
"""

from lookalike.sources.fetch.outcomes import Fetched, FetchError, FetchOptions

__all__ = ["FetchError", "FetchOptions", "Fetched"]

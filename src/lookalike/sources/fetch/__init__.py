"""Fetches bytes from the web, politely and safely, wherever a URL may point.

Used by `lookalike download`, by a build from a list of URLs, and wherever else we follow a stranger's URL.
"""

from lookalike.sources.fetch.outcomes import Fetched, FetchError, FetchOptions

__all__ = ["FetchError", "FetchOptions", "Fetched"]

"""Download images or pack them into shards, before a build."""

"""Getting images before anything is built of them: written as shards for fast sequential reading."""

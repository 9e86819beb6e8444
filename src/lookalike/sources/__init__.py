"""An address in, Samples out, one file a kind of source; `fetch` is the guarded way to the network."""

"""Turn an address into Samples, a file for each kind of source; `fetch` guards the way to the network."""

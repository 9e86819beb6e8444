"""Turns an address into Samples, one file for each kind of source; `fetch` guards access to the network."""

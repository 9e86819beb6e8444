"""Models that learn: from labels, on stored vectors or with the network, and from what people do."""

"""Training a network further on a collection's own labels; docs/finetuning.md explains how and why."""

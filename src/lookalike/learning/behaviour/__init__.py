"""Learning from what people do: who liked which picture, and when (docs/behaviour.md)."""

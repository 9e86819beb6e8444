"""Pictures for a first look without a network: flowers, drawn here."""

"""Pictures for a first look that need no network: flowers, drawn here."""

"""Which language a text is in, and which languages stay."""

"""Fetch datasets, models and tokenizers onto the output volume, before any of the user's code runs."""

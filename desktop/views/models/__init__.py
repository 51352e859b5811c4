"""The Models dialog and what it is made of."""

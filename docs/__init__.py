"""The documentation, and what is generated into it."""

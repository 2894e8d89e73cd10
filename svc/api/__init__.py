"""The HTTP face: parse, one call to the store, render."""

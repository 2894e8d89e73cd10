"""The same key-value service as its users would write it with other tools, and a bare hello."""

"""Whether the signals tell the truth, and what they do to the service in bad moments."""

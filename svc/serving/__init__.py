"""The HTTP server: listeners, the short way to a handler, drain, workers."""

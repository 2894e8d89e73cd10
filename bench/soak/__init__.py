"""Whether the service stays as it is for as long as it runs."""

"""What clients were told, kept so that every later answer can be held against it. Pure."""

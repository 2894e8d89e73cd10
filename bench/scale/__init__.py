"""How the service grows: with its workers, its data, its values and its connections."""

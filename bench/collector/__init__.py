"""A collector for measurements: takes spans by OTLP, writes down which, hangs when told to."""

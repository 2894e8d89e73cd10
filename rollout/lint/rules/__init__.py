"""All rules, one file a theme; the table of them is in table.py."""

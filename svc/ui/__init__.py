"""The page at ``/ui``: its files, as browsers load them. ``api/ui.py`` serves them.

May import: nothing of this project.
"""

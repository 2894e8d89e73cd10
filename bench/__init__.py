"""Programs that prove the project's promises. Each measures, and fails where a limit is broken.

May import: nothing of this project.
"""

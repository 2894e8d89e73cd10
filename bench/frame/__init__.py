"""The frame of every program here: parts, options, rows with limits, tables, JSON, processes.

May import: nothing of this project.
"""

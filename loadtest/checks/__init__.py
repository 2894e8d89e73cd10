"""What is right: single answers, and histories of the writes that a read may return.

May import: nothing of this project. Pure.
"""

"""Whether the resources of the service stay constant under load.

May import: consistency, frame, testbed.
"""

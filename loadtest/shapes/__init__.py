"""How the number of users changes over a run; ``--load-shape`` names one."""

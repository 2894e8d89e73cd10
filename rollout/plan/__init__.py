"""From a directory to a plan: which steps there are, and what the cluster has before them."""

"""``tallykv-rollout lint``: what is wrong with manifests before any cluster sees them."""

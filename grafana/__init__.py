"""The dashboards, written as code: ``python -m grafana.build`` writes their JSON."""

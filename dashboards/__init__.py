"""Grafana dashboards; `python -m dashboards` writes them.

In: the tables in `boards`, and addresses and objectives of `alerts/values.yaml`. Out: `json/`, `provisioning/`,
`configmap.yaml`.
"""

"""Prometheus rules and their runbooks; `python -m alerts` writes them.

In: `values.yaml` (thresholds and addresses) and the tables in `families`. Out: `rules/`,
`prometheusrule.yaml`, `docs/runbooks/`.
"""

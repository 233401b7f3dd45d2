"""The links of alerts to dashboards."""

from __future__ import annotations

from dashboards.links import VARIABLES, Uid, alert_url


def test_a_link_hands_over_what_the_dashboard_chooses_by() -> None:
    """Labels become variables, escaped by Prometheus; those that the dashboard has no variable for are left out."""
    url = alert_url("https://grafana.example.com/", Uid.WARMING, ("job", "target", "job_name", "severity"))
    assert url == (
        "https://grafana.example.com/d/hotkey-exporter-warming?var-job={{ $labels.job | urlquery }}"
        "&var-target={{ $labels.target | urlquery }}&var-job_name={{ $labels.job_name | urlquery }}"
    )
    assert (
        alert_url("https://grafana.example.com", Uid.SELF, ()) == "https://grafana.example.com/d/hotkey-exporter-self"
    )


def test_uids_are_short_enough_for_grafana() -> None:
    """Grafana takes uids of at most 40 letters, digits, hyphens and underscores."""
    assert set(VARIABLES) == set(Uid)
    assert all(len(uid) <= 40 and uid.replace("-", "").isalnum() for uid in Uid)

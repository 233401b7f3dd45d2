"""HTTP: routes to views."""

"""The page at `/`, one module for each of its panels; `document` puts them together."""

"""The one way to the API server: raw JSON over HTTP, and how to log in."""

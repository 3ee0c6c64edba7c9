"""Connect's infrastructure: provisioned, verified, loaded and broken, test first."""

"""Measures connect-infra beside its peers on one lab host: `make bench`."""

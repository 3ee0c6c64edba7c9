"""Runs on the host, as root, under the host's own Python (3.10 or newer, standard library only).

Sent as source over the connection (provisioning/sent.py). `main` either looks (changes nothing) or
changes one component in an order that can be killed at any point: note what is about to change,
stage, validate, keep the old, rename the new into place, activate, verify, and only then drop the
note.
"""

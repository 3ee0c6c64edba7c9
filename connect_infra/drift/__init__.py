"""Proof that every spec can fail: breaks each control on a live host and looks who turns red.

A drift is a change on a running host (`data/`, one file a component) that breaks one control. It is
made, seen to be there, looked at by the control's own specs, and undone. Harmless changes must
leave the same specs green.
"""

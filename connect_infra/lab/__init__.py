"""Disposable hosts: real systemd machines on a Docker engine, with no way out to the network."""

from connect_infra.lab.hosts import Lab, LabHost

__all__ = ["Lab", "LabHost"]

"""The command as a process of its own, for tests that interrupt it."""

COMMAND = """
import signal
from connect_infra.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in background
main()
"""

"""Tests that pass on every system: the same file runs on Linux, and with a Windows Python under Wine."""

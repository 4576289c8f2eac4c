"""Processes, functions and messages: the half in Lua runs them, the half in Python gives it time and the outside world."""

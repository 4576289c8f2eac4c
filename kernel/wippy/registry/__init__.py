"""Entries, their versions, and the changes between them: the run-time truth about an application."""

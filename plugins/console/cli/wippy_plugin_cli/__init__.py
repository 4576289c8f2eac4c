"""The command line. Each command is a module of its own, so that running one imports no other."""

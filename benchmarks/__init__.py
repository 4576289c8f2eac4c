"""What the runtime's figures are measured with; see README.md."""

"""What GPUs there are, which toolchain suits them, and whether the set-up works."""

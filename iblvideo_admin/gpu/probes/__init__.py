"""Scripts that run under a toolchain's own Python."""

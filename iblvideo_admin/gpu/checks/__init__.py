"""The layers of a set-up, a file each: every check reads, judges and explains."""

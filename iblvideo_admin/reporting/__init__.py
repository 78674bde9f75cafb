"""What people and monitors see: all of it read from one snapshot."""

"""What RFC 2332 asks, one file a section."""

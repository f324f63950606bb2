"""What moves a session's messages between page and proxy."""

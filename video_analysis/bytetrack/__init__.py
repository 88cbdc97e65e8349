"""ByteTrack: the identities of people, from boxes and their true scores."""

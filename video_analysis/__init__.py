"""The platform: people, poses and identities from video, on the framework `contanos`."""

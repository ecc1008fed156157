"""What monitors see, and which of it is worth a person's time."""

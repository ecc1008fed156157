"""What rows look like, in constant memory, and whether later ones look alike."""

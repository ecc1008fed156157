"""Every key of a declaration, edited: what becomes of a home that was filled before."""

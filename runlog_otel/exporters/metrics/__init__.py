"""Series and their exposition."""

"""`plan` and `apply`: what would be stopped now, written down and carried out."""

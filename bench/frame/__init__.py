"""What all the programs here share."""

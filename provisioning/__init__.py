"""What each host must have, and how it gets there: resources, plan, apply."""

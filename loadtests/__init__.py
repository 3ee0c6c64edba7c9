"""The documented load: users, arrivals, objectives and the verdict on them."""

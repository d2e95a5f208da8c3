"""Watch a policy at work: what it sees, what its neurons do, what it does."""

"""What every other layer stands on: errors, shared types, seeding and devices."""

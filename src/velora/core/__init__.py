"""Ground floor of the package: errors, shared types, seeding and devices."""

"""A dense teacher on HalfCheetah, and the small recurrent students that learn from it."""

"""How fast is it: the same work by us and by other libraries, in one run, as ratios."""

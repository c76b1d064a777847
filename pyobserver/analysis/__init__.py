"""Pure functions from what we know to what is shown: ordering, grouping, growth, the tree, the verdict."""

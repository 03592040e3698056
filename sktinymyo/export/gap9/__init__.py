"""From a fitted pipeline to a bundle for a GAP9."""

"""The labelling app: a page in the browser on which a person clicks once on each object."""
